# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a Secret has: its keys, its resourceVersion, its namespace, the rights of the kubeconfig's user."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import FilePort
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import UnsafeChange
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.secret_file import derived_system_id, secret_data
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile, HostFileConflict, HostFileError
from fake_gitlab import Fault
from fake_gitlab.server import Server
from registration_cluster import NAME, NAMESPACE, Clusters, InCluster
from registration_world import Run, World

KEY = "default/pi-01/docker"
KEYS = {"config.toml", ".runner_system_id", "runner-token", "runner-registration-token"}


@pytest.fixture
def place(clusters: Clusters) -> InCluster:
    return clusters.pi("pi-01", "11111111-2222-3333-4444-555555555555")


@pytest.fixture
def world(server: Server, clusters: Clusters) -> World:
    return World(server.gitlab, server.url, make_pi=clusters.pi)


def values(place: InCluster) -> dict[str, bytes]:
    return place.cluster.values(NAMESPACE, NAME) or {}


def test_what_stands_in_the_secret(world: World, place: InCluster) -> None:
    world.register(place)
    token = world.gitlab.runners[1].token
    found = values(place)
    assert found.keys() == KEYS
    assert found["runner-token"] == token.encode()
    assert found["runner-registration-token"] == b""
    assert (
        found[".runner_system_id"]
        == derived_system_id("11111111-2222-3333-4444-555555555555", NAMESPACE, NAME).encode()
    )
    assert f'token = "{token}"'.encode() in found["config.toml"]
    secret = place.cluster.secrets[NAMESPACE, NAME]
    assert (secret["type"], secret["kind"]) == ("Opaque", "Secret")


def test_an_unchanged_run_takes_one_request_and_no_write(world: World, place: InCluster) -> None:
    world.register(place)
    place.cluster.journal.clear()
    run = Run()
    assert world.register(place, run=run).actions == []
    assert run.events == ["read", "get /runners/1", "post /runners/verify"]
    assert place.cluster.journal == [("get", "secrets")]


def test_a_creation_makes_the_secret_before_it_asks_gitlab(world: World, place: InCluster) -> None:
    run = Run()
    world.register(place, run=run)
    assert run.events == [
        *("read", "identify", "get /projects/42", "post /api/graphql"),
        *("write", "post /user/runners", "write"),
    ]
    assert place.cluster.writes == [("create", "secrets"), ("patch", "secrets")]


def test_a_secret_that_comes_back_from_a_backup(world: World, place: InCluster) -> None:
    """Older than the last reset of its token: the same runner gets another one."""
    world.register(place)
    backup = values(place)
    world.gitlab.reset_runner_token(1)
    world.register(place)
    place.cluster.put(NAMESPACE, NAME, backup)
    assert world.register(place).actions == ["token_reset", "entry_written"]
    assert world.with_key(KEY) == list(world.gitlab.runners) == [1]


def test_the_same_runner_after_the_namespace_was_deleted(world: World, place: InCluster) -> None:
    """Its pods ran a moment ago, with the system ID of the Secret, which is the same again."""
    world.register(place)
    world.heartbeat(1, place.system_id)
    place.reflash()
    assert values(place) == {}
    assert world.register(place).actions == ["adopted", "token_reset", "entry_written"]
    assert world.with_key(KEY) == list(world.gitlab.runners) == [1]


def test_another_cluster_does_not_take_over_a_runner(world: World, place: InCluster) -> None:
    world.register(place)
    world.heartbeat(1, place.system_id)
    place.reflash("66666666-7777-8888-9999-000000000000")
    with pytest.raises(UnsafeChange, match="run by another machine"):
        world.register(place)
    assert values(place) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"runner-token": b"glrt-of-somebody"},
        {"runner-token": None},
        {"runner-registration-token": b"x"},
        {"runner-registration-token": None},
        {".runner_system_id": None},
        {".runner_system_id": b"no system id"},
    ],
)
def test_keys_that_are_made_of_the_others_are_put_right(
    world: World, place: InCluster, change: dict[str, bytes | None]
) -> None:
    world.register(place)
    before = values(place)
    changed = {key: value for key, value in {**before, **change}.items() if value is not None}
    place.cluster.put(NAMESPACE, NAME, changed)
    assert world.register(place).actions == ["entry_written"]
    assert values(place) == before
    assert world.register(place).actions == []


def test_the_system_id_that_stands_there_counts(world: World, place: InCluster) -> None:
    """It needs no right to read kube-system."""
    place.cluster.put(NAMESPACE, NAME, {".runner_system_id": b"r_abcdefABCDEF"})
    place.cluster.forbidden = {("get", "namespaces")}
    assert world.register(place).observed.system_id == "r_abcdefABCDEF"
    assert values(place)[".runner_system_id"] == b"r_abcdefABCDEF"
    assert world.register(place, state="absent").actions == ["deleted", "entry_removed"]


def test_two_runners_have_no_token_for_the_chart(world: World, place: InCluster) -> None:
    world.register(place)
    world.register(place, name="shell")
    assert values(place).keys() == KEYS - {"runner-token"}
    world.register(place, name="shell", state="absent")
    assert values(place)["runner-token"] == world.gitlab.runners[1].token.encode()


def test_a_removal_deletes_the_secret(world: World, place: InCluster) -> None:
    world.register(place)
    assert world.register(place, state="absent").actions == ["deleted", "entry_removed"]
    assert place.cluster.secrets == {}
    place.cluster.journal.clear()
    assert world.register(place, state="absent").actions == []
    assert place.cluster.writes == []


def test_keys_and_labels_of_others_stay(world: World, place: InCluster) -> None:
    place.cluster.put(NAMESPACE, NAME, {"theirs": b"x"})["metadata"]["labels"] = {"team": "a"}
    world.register(place)
    assert values(place).keys() == KEYS | {"theirs"}
    world.register(place, state="absent")
    assert values(place) == {"theirs": b"x"}
    assert place.cluster.secrets[NAMESPACE, NAME]["metadata"]["labels"] == {"team": "a"}


@pytest.mark.parametrize("before", [None, {}, {"theirs": b"x"}, {".runner_system_id": b"r_abcdefABCDEF"}])
def test_a_clear_failure_leaves_what_was_there(world: World, place: InCluster, before: dict[str, bytes] | None) -> None:
    if before is not None:
        place.cluster.put(NAMESPACE, NAME, before)
    world.gitlab.faults.add(Fault("POST", "/user/runners", reply="forbidden", times=None))
    with pytest.raises(GitLabError):
        world.register(place)
    assert place.cluster.values(NAMESPACE, NAME) == before


@pytest.mark.parametrize("key", ["runner-token", "runner-registration-token"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_token_that_somebody_else_put_there_is_not_overwritten(
    world: World, place: InCluster, key: str, state: str
) -> None:
    before = {"runner-token": b"", "runner-registration-token": b"", key: b"glrt-theirs"}
    place.cluster.put(NAMESPACE, NAME, before)
    with pytest.raises(HostFileError, match=f"has a {key} but no config.toml") as caught:
        world.register(place, state=state)
    assert "glrt-theirs" not in str(caught.value)
    assert values(place) == before
    assert world.requests() == []


def forbid(verb: str, resource: str = "secrets") -> Callable[[InCluster], None]:
    def found(place: InCluster) -> None:
        place.cluster.forbidden = {(verb, resource)}

    return found


def no_namespace(place: InCluster) -> None:
    place.cluster.delete_namespace(NAMESPACE)


def terminating(place: InCluster) -> None:
    place.cluster.terminate_namespace(NAMESPACE)


def quota(place: InCluster) -> None:
    place.cluster.quota = 0


def immutable(place: InCluster) -> None:
    place.cluster.put(NAMESPACE, NAME, {}, immutable=True)


def not_text(place: InCluster) -> None:
    place.cluster.put(NAMESPACE, NAME, {"config.toml": b"\xff"})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (forbid("get"), "may not get Secret gitlab-runner/runner in the cluster of context pi-01 (403): a Role"),
        (forbid("create"), "may not create Secret"),
        (forbid("get", "namespaces"), "may not get namespace kube-system"),
        (no_namespace, "There is no namespace gitlab-runner in the cluster of context pi-01; create it first."),
        (terminating, "Namespace gitlab-runner is being deleted"),
        (quota, "exceeded quota"),
        (immutable, "field is immutable"),
        (not_text, "is not UTF-8"),
    ],
)
def test_what_is_refused_before_gitlab_is_asked_for_a_runner(
    world: World, place: InCluster, found: Callable[[InCluster], None], words: str
) -> None:
    found(place)
    before = place.cluster.values(NAMESPACE, NAME)
    with pytest.raises(HostFileError) as caught:
        world.register(place)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert world.gitlab.journal.writes() == []
    assert place.cluster.values(NAMESPACE, NAME) == before


@pytest.mark.parametrize("verb", ["patch", "delete"])
def test_a_right_that_turns_out_to_be_missing(world: World, place: InCluster, verb: str) -> None:
    """The next run, which has it, goes on with the same runner."""
    if verb == "delete":
        world.register(place)
    forbid(verb)(place)
    state = "absent" if verb == "delete" else "present"
    with pytest.raises(HostFileError, match=f"may not {verb} Secret"):
        world.register(place, state=state)
    place.cluster.forbidden = set()
    world.register(place, state=state)
    assert len(world.gitlab.runners) == (state == "present")
    assert world.register(place, state=state).actions == []


def test_a_namespace_that_is_not_there_holds_nothing(world: World, place: InCluster) -> None:
    no_namespace(place)
    assert world.register(place, check=True).actions == ["created", "entry_written"]
    assert world.register(place, state="absent").actions == []
    assert place.cluster.writes == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(8))
def test_a_namespace_that_is_deleted_and_made_again_during_a_run(
    world: World, place: InCluster, number: int, when: str
) -> None:
    world.register(place, run=Run({(number, when): place.reflash}))
    world.gitlab.clock.advance(600)
    world.register(place)
    assert world.with_key(KEY) == list(world.gitlab.runners)
    assert len(world.gitlab.runners) == 1
    assert world.register(place).actions == []


ENTRY = '[[runners]]\nname = "docker"\nurl = "https://gitlab.example.com"\nid = 1\ntoken = "glrt-x"\n'


def others_change_it(place: InCluster) -> None:
    place.cluster.put(NAMESPACE, NAME, {**values(place), "config.toml": b"concurrent = 2\n"})


def others_delete_it(place: InCluster) -> None:
    place.content = None


def others_make_it_again(place: InCluster) -> None:
    """As it was, but it is another one."""
    before = values(place)
    place.content = None
    place.cluster.put(NAMESPACE, NAME, before)


WRITES: dict[str, Callable[[FilePort, HostFile], HostFile]] = {
    "change": lambda port, seen: port.replace(seen, f"concurrent = 1\n{ENTRY}"),
    "empty": lambda port, seen: port.replace(seen, ""),
    "take back": lambda port, seen: port.remove(seen),
}


@pytest.mark.parametrize("meddle", [others_change_it, others_delete_it, others_make_it_again])
@pytest.mark.parametrize("write", WRITES)
def test_what_is_not_as_it_was_read_is_not_written(
    place: InCluster, meddle: Callable[[InCluster], None], write: str
) -> None:
    port = place.port(Run())
    seen = port.replace(port.read(), ENTRY)
    meddle(place)
    before = place.cluster.values(NAMESPACE, NAME)
    with pytest.raises(HostFileConflict):
        WRITES[write](port, seen)
    assert place.cluster.values(NAMESPACE, NAME) == before


def test_what_others_made_since_is_not_written(place: InCluster) -> None:
    port = place.port(Run())
    seen = port.read()
    place.content = "concurrent = 2\n"
    with pytest.raises(HostFileConflict):
        port.replace(seen, ENTRY)
    assert place.content == "concurrent = 2\n"


def test_a_change_by_others_during_a_run_is_kept(world: World, place: InCluster) -> None:
    """Somebody adds a key between the intent and the entry: the run looks again, and GitLab gets no second runner."""

    def meddle() -> None:
        place.cluster.put(NAMESPACE, NAME, {**values(place), "theirs": b"x"})

    run = Run()
    world.register(place, run=run)
    place.reflash()
    world.gitlab.delete_runner(1)
    creation = run.events.index("post /user/runners")
    world.register(place, run=Run({(creation, "after"): meddle}))
    assert values(place)["theirs"] == b"x"
    assert world.with_key(KEY) == list(world.gitlab.runners) == [2]


def test_the_values_of_a_config_toml() -> None:
    entry = '[[runners]]\nname = "{0}"\ntoken = "{0}"\n'
    assert secret_data("", "s_1") == {
        "config.toml": "",
        ".runner_system_id": "s_1",
        "runner-token": None,
        "runner-registration-token": "",
    }
    assert secret_data(entry.format("a"), "s_1")["runner-token"] == "a"
    assert secret_data(entry.format("a") * 2, "s_1")["runner-token"] == "a"
    assert secret_data(entry.format("a") + entry.format("b"), "s_1")["runner-token"] is None


def test_a_system_id_is_that_of_one_place() -> None:
    places = [("c", "n", "s"), ("d", "n", "s"), ("c", "m", "s"), ("c", "n", "t")]
    found = {derived_system_id(*place) for place in places}
    assert len(found) == 4
    assert {len(each) for each in found} == {14}
