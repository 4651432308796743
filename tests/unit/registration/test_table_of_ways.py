# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen -> what is done: each row of the table, for each of the three ways in, for each kind of runner.

An API token sees everything. A registration token cannot find, change or delete any runner but by its token. A
ready-made token never makes or deletes a runner: one that works is entered, and may be shared by machines. All rows
hold with every version of GitLab that answers in another way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import AuthMethod
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import UnsafeChange
from fake_gitlab import Fault
from fake_gitlab.runners import Runner
from fake_gitlab.server import Server
from registration_thrice import thrice
from registration_world import NEWEST, PLACES, SHOWS_MANAGERS, VERSIONS, MakePi, Pi, World

pytestmark = pytest.mark.homes(secrets=4)

KEY, NAME = "default/pi-01/docker", "docker"
OTHER_MACHINE = "s_0000000000ff"
TAGS = ["arm64", "rpi"]

CREATED = ["created", "entry_written"]
RESET = ["token_reset", "entry_written"]
ADOPTED = ["adopted", "token_reset", "entry_written"]
ENTERED = ["entry_written"]
NOTHING: list[str] = []


@dataclass
class Scene:
    """A world, a Pi, and the way in that the play takes."""

    world: World
    pi: Pi
    way: AuthMethod
    given: str = "glrt-of-nobody"
    """The ready-made token in the inventory: that of the runner which was made first."""

    def runner(self, note: str | None = None, **attributes: Any) -> Runner:
        """A runner as this way in makes it. A ready-made one carries no key, for a person made it."""
        ours = "" if self.way is AuthMethod.RUNNER else f"pifleet.ci: {KEY}"
        runner = self.world.gitlab.create_runner(
            self.world.kind,
            owner=self.world.owner,
            registered=self.way is AuthMethod.REGISTRATION,
            maintenance_note=ours if note is None else note,
            **{"tag_list": TAGS, "description": "pi-01 docker", **attributes},
        )
        if runner.id == 1:
            self.given = runner.token
        return runner

    def hold(self, number: int, token: str) -> None:
        """An entry of our name is in the file."""
        entry = f'[[runners]]\nname = "{NAME}"\nurl = "{self.world.url}"\nid = {number}\ntoken = "{token}"\n'
        self.pi.content, self.pi.seeded = (self.pi.content or "") + entry, True

    @property
    def ours(self) -> list[int]:
        return self.world.with_key(KEY)


def works(scene: Scene) -> None:
    runner = scene.runner()
    scene.hold(runner.id, runner.token)


def drifted(scene: Scene) -> None:
    works(scene)
    scene.world.gitlab.edit_runner(1, tag_list=["odd"])


def key_missing(scene: Scene) -> None:
    works(scene)
    scene.world.gitlab.edit_runner(1, maintenance_note="")


def token_reset(scene: Scene) -> None:
    works(scene)
    scene.world.gitlab.reset_runner_token(1)


def runner_deleted(scene: Scene) -> None:
    works(scene)
    scene.world.gitlab.delete_runner(1)


def new_card(scene: Scene) -> None:
    scene.runner()
    scene.world.heartbeat(1, scene.pi.system_id)


def run_by_another_machine(scene: Scene) -> None:
    scene.runner()
    scene.world.heartbeat(1, OTHER_MACHINE)


def bare(scene: Scene) -> None:
    """No file, no runner, and the ready-made token is nobody's."""


def duplicates_beside_a_token(scene: Scene) -> None:
    works(scene)
    scene.runner()
    since = scene.world.gitlab.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    scene.pi.content = f"# pifleet.ci: registering {KEY} since {since} (abcdef01)\n{scene.pi.content}"


def duplicates_and_no_token(scene: Scene) -> None:
    scene.runner()
    scene.runner()
    scene.world.heartbeat(1, scene.pi.system_id)


def two_entries_of_one_token(scene: Scene) -> None:
    works(scene)
    scene.hold(1, scene.world.gitlab.runners[1].token)


def two_entries_one_of_them_dead(scene: Scene) -> None:
    scene.hold(9, "glrt-dead")
    works(scene)


def same_description(scene: Scene) -> None:
    scene.runner(note="somebody else's")
    scene.runner(note="pifleet.ci: default/pi-02/docker")


slow = pytest.mark.slow

REFUSED_BY_GITLAB = "GitLab refuses the token that was given"


@dataclass(frozen=True)
class Row:
    """How it comes about, and what each way does: its actions in order, or the words with which it refuses.

    left: the ids of the runners with our key in the end, by way.
    """

    name: str
    arrange: Callable[[Scene], None]
    api: list[str] | str
    registration: list[str] | str
    ready: list[str] | str
    left: tuple[list[int], list[int]] = field(default=([1], [1]))
    state: str = "present"


ROWS = [
    Row("token works, runner as wanted", works, NOTHING, NOTHING, NOTHING),
    Row("token works, attributes drifted", drifted, ["updated"], NOTHING, NOTHING),
    Row("token works, key missing", key_missing, ["adopted", "updated"], NOTHING, NOTHING, ([1], [])),
    Row("token refused, runner is there", token_reset, RESET, CREATED, REFUSED_BY_GITLAB, ([1], [1, 2])),
    Row("token refused, runner gone", runner_deleted, CREATED, CREATED, REFUSED_BY_GITLAB, ([2], [2])),
    Row("no entry, runner of this machine", new_card, ADOPTED, CREATED, ENTERED, ([1], [1, 2])),
    Row(
        "no entry, another machine runs it",
        run_by_another_machine,
        f"another machine, system id {OTHER_MACHINE}",
        CREATED,
        ENTERED,
        ([1], [1, 2]),
    ),
    Row("no entry, no runner", bare, CREATED, CREATED, REFUSED_BY_GITLAB),
    Row(
        "two with our key, one is the file's",
        duplicates_beside_a_token,
        ["removed_duplicate"],
        NOTHING,
        NOTHING,
        ([1], [1, 2]),
    ),
    Row(
        "two with our key, no token",
        duplicates_and_no_token,
        ["removed_duplicate", *ADOPTED],
        CREATED,
        ENTERED,
        ([1], [1, 2, 3]),
    ),
    Row("two entries of one token", two_entries_of_one_token, ENTERED, ENTERED, ENTERED),
    Row("two entries of one name", two_entries_one_of_them_dead, ENTERED, ENTERED, ENTERED),
    Row("others' runners, same description", same_description, CREATED, CREATED, ENTERED, ([3], [3])),
    Row(
        "removal",
        works,
        ["deleted", "entry_removed"],
        ["deleted", "entry_removed"],
        ["manager_removed", "entry_removed"],
        ([], []),
        state="absent",
    ),
    Row(
        "removal, token refused",
        token_reset,
        ["deleted", "entry_removed"],
        ["entry_removed"],
        ["entry_removed"],
        ([], [1]),
        state="absent",
    ),
    Row(
        "removal, runner gone",
        runner_deleted,
        ["entry_removed"],
        ["entry_removed"],
        ["entry_removed"],
        ([], []),
        state="absent",
    ),
    Row("removal, no entry", new_card, ["deleted"], NOTHING, NOTHING, ([], [1]), state="absent"),
    Row("removal, nothing there", bare, NOTHING, NOTHING, NOTHING, ([], []), state="absent"),
]


@pytest.fixture(params=sorted(PLACES))
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def version() -> str:
    return NEWEST


@pytest.fixture(params=AuthMethod, ids=lambda way: way.value)
def scene(request: pytest.FixtureRequest, server: Server, home: MakePi, pi: Pi, kind: str, version: str) -> Scene:
    return Scene(World(server.gitlab, server.url, kind, version=version, make_pi=home), pi, request.param)


@pytest.mark.homes(secrets=40)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("version", [VERSIONS[0], NEWEST, *(pytest.param(each, marks=slow) for each in VERSIONS[1:-1])])
def test_row(scene: Scene, row: Row, version: str) -> None:
    row.arrange(scene)
    expected = {AuthMethod.API: row.api, AuthMethod.REGISTRATION: row.registration, AuthMethod.RUNNER: row.ready}[
        scene.way
    ]
    if row.arrange is run_by_another_machine and scene.way is AuthMethod.API and version not in SHOWS_MANAGERS:
        expected = ADOPTED  # nobody says that another machine runs it
    options = {"way": scene.way, "token": scene.given, "state": row.state}
    foreign = portraits(scene)
    content, runners = scene.pi.content, sorted(scene.world.gitlab.runners)
    if isinstance(expected, str):
        for check in (True, False):
            with pytest.raises(UnsafeChange, match=expected):
                scene.world.register(scene.pi, check=check, **options)
        assert scene.world.gitlab.journal.writes() == []
        assert scene.pi.content == content
    else:
        foretold, done, again = thrice(scene.world, scene.pi, **options)
        assert foretold["actions"] == done["actions"] == expected
        assert foretold["diff"] == done["diff"]
        assert again["actions"] == []
        one_entry_that_works(scene, row)
    if scene.way is AuthMethod.RUNNER:
        assert sorted(scene.world.gitlab.runners) == runners
    else:
        assert scene.ours == row.left[scene.way is AuthMethod.REGISTRATION]
    assert portraits(scene) == foreign


def one_entry_that_works(scene: Scene, row: Row) -> None:
    entries = scene.pi.named(NAME)
    assert len(entries) == (row.state == "present")
    for entry in entries:
        runner = scene.world.gitlab.runner_by_token(entry["token"])
        assert runner is not None
        assert runner.id == entry["id"]
        assert scene.way is not AuthMethod.API or set(runner.tag_list) == set(TAGS)


def portraits(scene: Scene) -> dict[int, tuple[Any, ...]]:
    """The runners of others."""
    return {
        runner.id: (runner.token, runner.description, runner.maintenance_note, runner.tag_list, runner.paused)
        for runner in scene.world.gitlab.runners.values()
        if runner.maintenance_note in ("somebody else's", "pifleet.ci: default/pi-02/docker")
    }


OUTAGES = [
    "proxy_forbidden",
    "not_found_page",
    "unprocessable",
    "server_error",
    "bad_gateway",
    "captive_portal",
    "empty",
]


@pytest.mark.parametrize("arrange", [works, token_reset, new_card])
@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_is_no_answer(scene: Scene, arrange: Callable[[Scene], None], outage: str) -> None:
    arrange(scene)
    content, runners = scene.pi.content, sorted(scene.world.gitlab.runners)
    scene.world.gitlab.faults.add(Fault(reply=outage, times=None))
    with pytest.raises(GitLabError) as caught:
        scene.world.register(scene.pi, way=scene.way, token=scene.given)
    assert "\n" not in str(caught.value)
    assert sorted(scene.world.gitlab.runners) == runners
    assert [entry.get("token") for entry in scene.pi.entries] == tokens_in(content)


def tokens_in(content: str | None) -> list[str | None]:
    return [entry.get("token") for entry in Pi("", "", content).entries]


# What only one way knows


def test_registration_tokens_switched_off(world: World, pi: Pi) -> None:
    world.gitlab.settings.allow_registration_tokens = False
    with pytest.raises(GitLabError, match="registration tokens switched off"):
        world.register(pi, way=AuthMethod.REGISTRATION)
    assert pi.content is None


def test_removal_with_a_registration_token_spares_what_it_did_not_make(world: World, pi: Pi) -> None:
    """A person has put a token into the entry that many machines may share: only this machine's share goes."""
    scene = Scene(world, pi, AuthMethod.RUNNER)
    works(scene)
    world.heartbeat(1, OTHER_MACHINE)
    foretold, done, again = thrice(world, pi, way=AuthMethod.REGISTRATION, state="absent")
    assert foretold["actions"] == done["actions"] == ["manager_removed", "entry_removed"]
    assert again["actions"] == []
    assert list(world.gitlab.runners[1].managers) == [OTHER_MACHINE]


def test_a_ready_made_token_that_the_process_rotated_is_kept(world: World, pi: Pi) -> None:
    scene = Scene(world, pi, AuthMethod.RUNNER)
    runner = scene.runner()
    scene.hold(1, world.gitlab.reset_runner_token(1))
    foretold, done, _again = thrice(world, pi, way=AuthMethod.RUNNER, token=scene.given)
    assert foretold["actions"] == done["actions"] == []
    assert pi.named(NAME)[0]["token"] == runner.token != scene.given


def test_another_ready_made_token_replaces_the_old_one(world: World, pi: Pi) -> None:
    scene = Scene(world, pi, AuthMethod.RUNNER)
    works(scene)
    another = scene.runner()
    assert thrice(world, pi, way=AuthMethod.RUNNER, token=another.token)[1]["actions"] == ENTERED
    assert [(entry["id"], entry["token"]) for entry in pi.named(NAME)] == [(2, another.token)]


def test_removal_with_a_ready_made_token_leaves_the_other_machines(world: World, pi: Pi) -> None:
    scene = Scene(world, pi, AuthMethod.RUNNER)
    works(scene)
    world.heartbeat(1, OTHER_MACHINE)
    thrice(world, pi, way=AuthMethod.RUNNER, token=scene.given, state="absent")
    assert list(world.gitlab.runners[1].managers) == [OTHER_MACHINE]


def test_two_entries_may_share_a_ready_made_token(world: World, pi: Pi) -> None:
    scene = Scene(world, pi, AuthMethod.RUNNER)
    works(scene)
    pi.content = (pi.content or "").replace(NAME, "shell")
    world.register(pi, way=AuthMethod.RUNNER, token=scene.given)
    assert sorted(entry["name"] for entry in pi.entries) == [NAME, "shell"]
