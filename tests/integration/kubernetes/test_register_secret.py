# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_register_secret in a real cluster: its rights, its conflicts, and what comes back after a deletion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import fake_gitlab
import pytest
import yaml
from ansible_collections.pifleet.ci.plugins.modules import gitlab_runner_register_secret as module
from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.cluster import FIELD_MANAGER, connected
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import FilePort
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.secret_file import Secret, derived_system_id
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile, HostFileConflict, HostFileError
from cluster.components import AUDIT_LOG
from cluster.made import Cluster
from integration.kubernetes.api import (
    NAMESPACES,
    Api,
    create_namespace,
    delete_cluster_role,
    delete_namespace,
    service_account,
)
from integration.kubernetes.operator import Operator
from integration.kubernetes.place import OnServer
from registration_cluster import NAME, WatchedCluster
from registration_world import Run, World

USER = "operator"
KUBE_SYSTEM = {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]}
KEYS = {"config.toml", ".runner_system_id", "runner-token", "runner-registration-token"}


def documented_verbs() -> set[str]:
    """Those that the notes of the module ask for."""
    notes = " ".join(yaml.safe_load(module.DOCUMENTATION)["notes"])
    wanted = re.search(r"needs a Role with (.*?) for V\(secrets\)", notes)
    return set(re.findall(r"V\((\w+)\)", wanted[1])) if wanted else set()


VERBS = sorted(documented_verbs())


class Place(OnServer):
    """The namespace as it is, in the cluster that it is in, for the user of a kubeconfig."""

    def __init__(self, namespace: str, api: Api, kubeconfig: Path, context: str) -> None:
        self.name, self.namespace, self.api = f"{namespace}.k3s", namespace, api
        self.cluster_uid = api.get(f"{NAMESPACES}/kube-system")["metadata"]["uid"]
        self.kubeconfig, self.context, self._sessions = kubeconfig, context, ExitStack()

    def port(self, run: Run, *, full: bool = False) -> FilePort:
        """With a session of its own, as a task has: two at the same time share files of the client."""
        self._sessions.close()
        session = self._sessions.enter_context(connected(str(self.kubeconfig), self.context, 10.0))
        return Secret(WatchedCluster(session, run), self.namespace, NAME)

    def close(self) -> None:
        self._sessions.close()

    @property
    def version(self) -> str:
        found: str = self.api.get(self.secret)["metadata"]["resourceVersion"]
        return found


@pytest.fixture(scope="session")
def gitlab() -> Iterator[fake_gitlab.server.Server]:
    with fake_gitlab.serving(fake_gitlab.FakeGitLab()) as serving:
        yield serving


@pytest.fixture
def world(gitlab: fake_gitlab.server.Server) -> World:
    return World(gitlab.gitlab, gitlab.url)


@pytest.fixture
def place(cluster: Cluster, api: Api, namespace: str) -> Iterator[Place]:
    with closing(Place(namespace, api, cluster.kubeconfig, cluster.context)) as place:
        yield place


@pytest.fixture
def user(api: Api, namespace: str) -> Iterator[Callable[..., dict[str, Any]]]:
    """Makes the user of a kubeconfig, who may do no more with Secrets than these verbs, and read kube-system or not."""
    made = []

    def make(verbs: list[str], *, kube_system: bool = True) -> dict[str, Any]:
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}]
        made.append(kube_system)
        return service_account(api, namespace, USER, rules, [KUBE_SYSTEM] if kube_system else [])

    yield make
    if any(made):
        delete_cluster_role(api, namespace, USER)


@pytest.fixture
def operator(
    tmp_path_factory: pytest.TempPathFactory, world: World, namespace: str
) -> Callable[[dict[str, Any]], Operator]:
    # A short path, because ansible-core has a socket in its temporary directory from 2.21 on.
    return lambda kubeconfig: Operator(
        tmp_path_factory.mktemp("o"), namespace, kubeconfig, USER, world.token, world.options()
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_documented_rights_are_enough(
    cluster: Cluster,
    place: Place,
    world: World,
    user: Callable[..., dict[str, Any]],
    operator: Callable[[dict[str, Any]], Operator],
) -> None:
    """And the token is nowhere but in the Secret, the second run writes nothing, and the removal leaves nothing."""
    assert VERBS == ["create", "delete", "get", "patch"]
    kubeconfig = user(VERBS)
    somebody = operator(kubeconfig)
    foretold = somebody.register("--check")
    assert (foretold["actions"], world.gitlab.journal.writes()) == (["created", "entry_written"], [])
    assert place.values() is None

    done = somebody.register()
    assert done["actions"] == foretold["actions"]
    assert done["diff"] == foretold["diff"]
    assert place.values().keys() == KEYS  # type: ignore[union-attr] # it is there
    assert done["system_id"] == derived_system_id(place.cluster_uid, place.namespace, NAME)
    token = world.gitlab.runners[1].token

    before = place.version
    world.gitlab.journal.clear()
    again = somebody.register()
    assert (again["changed"], again["actions"], place.version) == (False, [], before)
    assert world.requests() == ["GET /runners/1", "POST /runners/verify"]

    assert somebody.register(state="absent")["actions"] == ["deleted", "entry_removed"]
    assert (place.values(), world.gitlab.runners) == (None, {})

    assert somebody.play.leaks({"runner": token, "api": world.token, "kubeconfig": token_of(kubeconfig)}) == set()
    events = json.dumps(place.api.get(f"{NAMESPACES}/{place.namespace}/events"))
    assert token not in events
    if cluster.kind == "own":
        reads = ["get secrets", "get namespaces"]
        asked = requests_of(cluster, f"system:serviceaccount:{place.namespace}:{USER}", token)
        assert asked == [
            *reads,  # check mode
            *(*reads, "create secrets", "patch secrets"),
            "get secrets",  # the second run
            *("get secrets", "delete secrets"),
        ]


def token_of(kubeconfig: dict[str, Any]) -> str:
    token: str = kubeconfig["users"][0]["user"]["token"]
    return token


def requests_of(cluster: Cluster, user: str, secret: str) -> list[str]:
    """Verb and resource of each request of a user in the audit log, which must not have the secret."""
    log = (cluster.folder / "logs" / AUDIT_LOG).read_text()
    assert secret not in log
    entries = [json.loads(line) for line in log.splitlines()]
    mine = [entry for entry in entries if entry["user"].get("username") == user]
    return [f"{entry['verb']} {entry['objectRef']['resource']}" for entry in mine]


@pytest.mark.parametrize("lacking", [*VERBS, "kube-system"])
def test_a_right_that_is_missing_is_one_sentence(
    place: Place, world: World, lacking: str, user: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """After which a run that has the right goes on with the same runner."""
    if lacking == "delete":
        world.register(place)
    kubeconfig = user([verb for verb in VERBS if verb != lacking], kube_system=lacking != "kube-system")
    state = "absent" if lacking == "delete" else "present"
    what = "namespace kube-system" if lacking == "kube-system" else f"Secret {place.namespace}/{NAME}"
    verb = "get" if lacking == "kube-system" else lacking
    with seen_by(kubeconfig, place, tmp_path) as limited, pytest.raises(HostFileError) as caught:
        world.register(limited, state=state)
    said = str(caught.value)
    assert f"The user of the kubeconfig may not {verb} {what} in the cluster of context {USER} (403)" in said
    assert "\n" not in said
    if lacking in ("get", "create", "kube-system"):
        assert world.gitlab.runners == {}
    world.gitlab.clock.advance(600)
    world.register(place, state=state)
    assert len(world.gitlab.runners) == (state == "present")
    assert world.register(place, state=state).actions == []


def test_a_namespace_that_is_missing_is_one_sentence(
    place: Place, world: World, user: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """A Role is in a namespace, so without that the API server says no more than that one may not."""
    with seen_by(user(VERBS), place, tmp_path) as limited:
        limited.namespace = f"{place.namespace}-not"
        with pytest.raises(
            HostFileError, match=r"may not get Secret .*\. Is the namespace gone, and its RoleBinding\?"
        ):
            world.register(limited)
    assert world.gitlab.runners == {}


def seen_by(kubeconfig: dict[str, Any], place: Place, directory: Path) -> closing[Place]:
    """The same namespace for the user of a kubeconfig."""
    file = directory / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(kubeconfig))
    return closing(Place(place.namespace, place.api, file, USER))


def test_the_administrator_is_told_which_namespace_is_missing(place: Place, world: World) -> None:
    place.namespace += "-not"
    with pytest.raises(HostFileError, match=f"There is no namespace {place.namespace} in the cluster of context"):
        world.register(place)
    assert world.gitlab.runners == {}


def test_a_namespace_that_was_deleted_has_the_same_runner_again(place: Place, world: World) -> None:
    """Its pods ran a moment ago; they find the system ID that they had."""
    world.register(place)
    before = world.gitlab.runners[1].token
    world.heartbeat(1, place.system_id)
    delete_namespace(place.api, place.namespace)
    create_namespace(place.api, place.namespace)
    assert world.register(place).actions == ["adopted", "token_reset", "entry_written"]
    assert list(world.gitlab.runners) == [1]
    assert world.gitlab.runners[1].token != before
    assert place.values()["runner-token"].decode() == world.gitlab.runners[1].token  # type: ignore[index] # it is there


def test_a_namespace_that_is_going_is_waited_for_by_a_person(place: Place, world: World) -> None:
    finalizer = ["pifleet.test/held"]
    path = f"{NAMESPACES}/{place.namespace}/secrets"
    place.api.create(path, {"metadata": {"name": "held", "finalizers": finalizer}})
    delete_namespace(place.api, place.namespace, wait=0)
    try:
        with pytest.raises(HostFileError, match=f"Namespace {place.namespace} is being deleted: wait until it is gone"):
            world.register(place)
    finally:
        place.api.patch(f"{path}/held", {"metadata": {"finalizers": None}})
    assert world.gitlab.runners == {}


def test_a_secret_that_comes_back_from_a_backup_has_the_same_runner(place: Place, world: World) -> None:
    """As a backup tool brings it back: deleted, and made again of what was written down."""
    world.register(place)
    backup = place.api.get(place.secret)
    world.gitlab.reset_runner_token(1)
    world.register(place)
    place.drop()
    kept = {key: backup["metadata"][key] for key in ("name", "namespace")}
    place.api.create(place.secret.rpartition("/")[0], {**backup, "metadata": kept})
    assert world.register(place).actions == ["token_reset", "entry_written"]
    assert list(world.gitlab.runners) == [1]
    assert world.register(place).actions == []


def test_others_may_write_into_the_secret(place: Place, world: World) -> None:
    """Their keys, labels and fields stay theirs, whoever comes first; ours are said to be ours."""
    theirs = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "labels": {"team": "a"}},
        "data": {"theirs": "eA=="},
    }
    for _time in range(2):
        place.api.apply(place.secret, theirs, "somebody")
        world.register(place)
    found = place.api.get(place.secret)
    assert place.values().keys() == KEYS | {"theirs"}  # type: ignore[union-attr] # it is there
    fields = {entry["manager"]: entry["fieldsV1"] for entry in found["metadata"]["managedFields"]}
    assert fields.keys() == {"somebody", FIELD_MANAGER}
    assert {f"f:{key}" for key in KEYS} <= fields[FIELD_MANAGER]["f:data"].keys()
    assert "f:theirs" not in fields[FIELD_MANAGER]["f:data"]

    assert world.register(place, state="absent").actions == ["deleted", "entry_removed"]
    assert place.values() == {"theirs": b"x"}
    assert place.api.get(place.secret)["metadata"]["labels"] == {"team": "a"}


@pytest.mark.parametrize("number", range(7))
def test_a_write_of_others_at_any_moment_is_kept(place: Place, world: World, number: int) -> None:
    """Before each event of a run somebody writes a key; the run looks again, and GitLab has one runner in the end."""

    def meddle() -> None:
        place.put({**(place.values() or {}), "theirs": str(number).encode()})

    world.register(place, run=Run({(number, "before"): meddle}))
    world.gitlab.clock.advance(600)
    assert world.register(place).actions == []
    assert list(world.gitlab.runners) == [1]
    values = place.values() or {}
    assert values["theirs"] == str(number).encode()
    assert values["runner-token"].decode() == world.gitlab.runners[1].token


ENTRY = '[[runners]]\nname = "docker"\nurl = "https://gitlab.example.com"\nid = 1\ntoken = "glrt-x"\n'
WRITES: dict[str, Callable[[FilePort, HostFile], HostFile]] = {
    "change": lambda port, seen: port.replace(seen, f"concurrent = 1\n{ENTRY}"),
    "delete": lambda port, seen: port.replace(seen, ""),
    "take back": lambda port, seen: port.remove(seen),
}


@pytest.mark.parametrize("how", ["changed", "deleted", "made again"])
@pytest.mark.parametrize("write", WRITES)
def test_what_is_not_as_it_was_read_is_not_written(place: Place, write: str, how: str) -> None:
    port = place.port(Run())
    seen = port.replace(port.read(), ENTRY)
    before = place.values() or {}
    if how != "changed":
        place.drop()
    if how != "deleted":
        place.put({**before, "theirs": b"x"} if how == "changed" else before)
    expected = place.values()
    with pytest.raises(HostFileConflict):
        WRITES[write](port, seen)
    assert place.values() == expected
