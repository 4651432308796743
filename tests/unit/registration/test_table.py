# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen -> what is done with an API token, one case for each way in which a row comes about.

test_table_of_ways.py goes through the rows for all three ways in. Each case runs three times from the same start: in
check mode, for real, and for real again. Check mode must foretell exactly what the run does and touch nothing; the
second run must do nothing. All of that with every version of GitLab that answers in another way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError, UnsupportedVersion
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import desired_runner
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import UnsafeChange
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.result import left_behind
from fake_gitlab import Fault, Role
from fake_gitlab.server import Server
from registration_thrice import portrait, thrice
from registration_world import SHOWS_MANAGERS, VERSIONS, Pi, World

KEY = "default/pi-01/docker"
OTHER = "s_0000000000ff"

pytestmark = pytest.mark.homes(secrets=4)

Arrange = Callable[[World, Pi], None]


@dataclass(frozen=True)
class Case:
    """A row: how it comes about, what is done, and the ids of the runners with our key in the end."""

    name: str
    arrange: Arrange
    actions: list[str]
    left: list[int]
    options: dict[str, Any] = field(default_factory=dict)


def entry(world: World, number: int, token: str, *, name: str = "docker", url: str = "") -> str:
    return f'[[runners]]\nname = "{name}"\nurl = "{url or world.url}"\nid = {number}\ntoken = "{token}"\n'


def make(world: World, *, note: str = f"pifleet.ci: {KEY}", **attributes: Any) -> Any:
    attributes = {"tag_list": ["arm64", "rpi"], "description": "pi-01 docker", **attributes}
    return world.gitlab.create_runner("project_type", owner=world.project, maintenance_note=note, **attributes)


def hold(world: World, pi: Pi, runner: Any, **changes: str) -> None:
    """The file holds the runner's token."""
    pi.content = (pi.content or "") + entry(world, runner.id, runner.token, **changes)
    pi.seeded = True


def registered(world: World, pi: Pi) -> None:
    hold(world, pi, make(world))


def reset_in_the_web_page(world: World, pi: Pi) -> None:
    registered(world, pi)
    world.gitlab.reset_runner_token(1)


def expired(world: World, pi: Pi) -> None:
    world.gitlab.settings.token_lifetime = 3600
    registered(world, pi)
    world.gitlab.settings.token_lifetime = None
    world.gitlab.clock.advance(7200)


def deleted(world: World, pi: Pi) -> None:
    registered(world, pi)
    world.gitlab.delete_runner(1)


def new_card(world: World, pi: Pi) -> None:
    make(world)
    world.heartbeat(1, pi.system_id)


def new_card_long_after(world: World, pi: Pi) -> None:
    make(world)
    world.heartbeat(1, OTHER)
    world.gitlab.clock.advance(3 * 3600)


def never_in_contact(world: World, pi: Pi) -> None:
    make(world)


def older_system_id(world: World, pi: Pi) -> None:
    make(world)
    world.heartbeat(1, OTHER)
    world.gitlab.clock.advance(3 * 3600)
    world.heartbeat(1, pi.system_id)


def another_machine_runs_it(world: World, pi: Pi) -> None:
    make(world)
    world.heartbeat(1, OTHER)


def rotated_by_the_process_before_the_card_died(world: World, pi: Pi) -> None:
    make(world)
    world.heartbeat(1, "<legacy>")


def duplicates_and_no_token(world: World, pi: Pi) -> None:
    make(world)
    make(world)
    make(world)
    world.heartbeat(2, pi.system_id)
    world.gitlab.clock.advance(10)


def duplicates_and_an_interrupted_run(world: World, pi: Pi) -> None:
    registered(world, pi)
    make(world)
    since = world.gitlab.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    pi.content = f"{pi.content}# pifleet.ci: registering {KEY} since {since} (abcdef01)\n"


def an_old_intent(world: World, pi: Pi) -> None:
    registered(world, pi)
    pi.content = f"{pi.content}# pifleet.ci: registering {KEY} since 2020-01-01T00:00:00Z (abcdef01)\n"


def drifted(**attributes: Any) -> Arrange:
    def arrange(world: World, pi: Pi) -> None:
        registered(world, pi)
        world.gitlab.edit_runner(1, **attributes)

    return arrange


def by_hand(world: World, pi: Pi) -> None:
    hold(world, pi, make(world, note="", description="by hand"))


def by_hand_with_a_long_note(world: World, pi: Pi) -> None:
    hold(world, pi, make(world, note="x" * 1000, description="by hand"))
    make(world)


def by_hand_with_a_note_that_just_fits(world: World, pi: Pi) -> None:
    hold(world, pi, make(world, note="x" * (1024 - len(f"\npifleet.ci: {KEY}")), description="by hand"))


def by_hand_beside_ours(world: World, pi: Pi) -> None:
    by_hand(world, pi)
    make(world)


def two_entries_of_one_name(world: World, pi: Pi) -> None:
    runner = make(world)
    pi.content = entry(world, 9, "glrt-dead")
    hold(world, pi, runner)


def ours_and_one_by_hand_of_one_name(world: World, pi: Pi) -> None:
    registered(world, pi)
    hold(world, pi, make(world, note="", description="by hand"))


def two_entries_of_one_token(world: World, pi: Pi) -> None:
    registered(world, pi)
    hold(world, pi, world.gitlab.runners[1], name="pi-01")


def entry_renamed(world: World, pi: Pi) -> None:
    hold(world, pi, make(world), name="renamed by hand")


def cloned(world: World, pi: Pi) -> None:
    hold(world, pi, make(world, note="pifleet.ci: default/pi-02/docker", description="pi-02 docker"))


def same_description(world: World, pi: Pi) -> None:
    make(world, note="somebody else's")
    make(world, note="pifleet.ci: other/pi-01/docker")


def wrong_id_in_the_file(world: World, pi: Pi) -> None:
    make(world, note="somebody else's")
    runner = make(world)
    pi.content, pi.seeded = entry(world, 1, runner.token), True


def no_id_in_the_file(world: World, pi: Pi) -> None:
    registered(world, pi)
    pi.content = (pi.content or "").replace("id = 1\n", "")


def another_gitlab(world: World, pi: Pi) -> None:
    hold(world, pi, make(world, note=""), url="https://old.example.com")


def another_gitlab_whose_id_is_out_of_sight_here(world: World, pi: Pi) -> None:
    bob = world.gitlab.add_user("bob")
    project = world.gitlab.add_project("bob/secret", members={bob: Role.OWNER})
    world.gitlab.create_runner("project_type", owner=project, maintenance_note="somebody else's")
    pi.content, pi.seeded = entry(world, 1, "glrt-there", url="https://old.example.com"), True


def gitlab_moved(world: World, pi: Pi) -> None:
    hold(world, pi, make(world), url="https://old.example.com")


def token_from_environment(world: World, pi: Pi) -> None:
    make(world)
    pi.content, pi.seeded = entry(world, 1, "${RUNNER_TOKEN}"), True


def url_from_environment(world: World, pi: Pi) -> None:
    hold(world, pi, make(world), url="$GITLAB_URL")


def reset_and_wanted_for_another_project(world: World, pi: Pi) -> None:
    world.gitlab.add_project("fleet/others", group=world.group, project_id=43)
    reset_in_the_web_page(world, pi)


def nothing(world: World, pi: Pi) -> None:
    return


CREATED = ["created", "entry_written"]
ADOPTED = ["adopted", "token_reset", "entry_written"]
RESET = ["token_reset", "entry_written"]

CASES = [
    Case("works and is as wanted", registered, [], [1]),
    Case("works, tags drifted", drifted(tag_list=["other"]), ["updated"], [1]),
    Case("works, tags in another order", drifted(tag_list=["rpi", "arm64"]), [], [1]),
    Case("works, description drifted", drifted(description="renamed"), ["updated"], [1]),
    Case("works, paused drifted", drifted(paused=True), ["updated"], [1], {"paused": False}),
    Case("works, paused not ours to set", drifted(paused=True), [], [1]),
    Case("works, locked drifted", drifted(locked=True), ["updated"], [1], {"locked": False}),
    Case("works, run_untagged drifted", drifted(run_untagged=True), ["updated"], [1], {"run_untagged": False}),
    Case("works, access_level drifted", drifted(), ["updated"], [1], {"access_level": "ref_protected"}),
    Case("works, maximum_timeout drifted", drifted(maximum_timeout=600), ["updated"], [1], {"maximum_timeout": 3600}),
    Case("works, maximum_timeout removed", drifted(maximum_timeout=600), ["updated"], [1], {"maximum_timeout": 0}),
    Case("works, user's note drifted", drifted(), ["updated"], [1], {"maintenance_note": "Shelf 3"}),
    Case("works, key missing", drifted(maintenance_note="mine"), ["adopted", "updated"], [1]),
    Case("works, registered by hand", by_hand, ["adopted", "updated"], [1]),
    Case("a note that just fits", by_hand_with_a_note_that_just_fits, ["adopted", "updated"], [1]),
    Case("registered by hand beside ours", by_hand_beside_ours, ["removed_duplicate", "adopted", "updated"], [1]),
    Case("token reset in the web page", reset_in_the_web_page, RESET, [1]),
    Case("token expired", expired, RESET, [1]),
    Case("runner deleted", deleted, CREATED, [2]),
    Case("new card, this machine's runner", new_card, ADOPTED, [1]),
    Case("new card, its process had rotated the token", rotated_by_the_process_before_the_card_died, ADOPTED, [1]),
    Case("new card, in the place of a silent machine", new_card_long_after, ADOPTED, [1], {"takeover": True}),
    Case("new card, the runner was never in contact", never_in_contact, ADOPTED, [1]),
    Case("new card, beside an older system id of ours", older_system_id, ADOPTED, [1]),
    Case("new card, takeover of another machine's", another_machine_runs_it, ADOPTED, [1], {"takeover": True}),
    Case("nothing anywhere", nothing, CREATED, [1]),
    Case("no token, duplicates", duplicates_and_no_token, ["removed_duplicate"] * 2 + ADOPTED, [2]),
    Case("token works, duplicate of an interrupted run", duplicates_and_an_interrupted_run, ["removed_duplicate"], [1]),
    Case("token works, trace of an old run", an_old_intent, ["settled"], [1]),
    Case("two entries of one name", two_entries_of_one_name, ["entry_written"], [1]),
    Case("entry renamed by hand", entry_renamed, ["entry_written"], [1]),
    Case("cloned card", cloned, CREATED, [2]),
    Case("same description, not ours", same_description, CREATED, [3]),
    Case("wrong id in the file", wrong_id_in_the_file, ["entry_written"], [2]),
    Case("no id in the file", no_id_in_the_file, ["entry_written"], [1]),
    Case("GitLab has a new address", gitlab_moved, ["entry_written"], [1]),
    Case("entry of another GitLab, takeover", another_gitlab, CREATED, [2], {"takeover": True}),
    Case(
        "entry of another GitLab, its id out of sight here, takeover",
        another_gitlab_whose_id_is_out_of_sight_here,
        CREATED,
        [2],
        {"takeover": True},
    ),
    Case("removal", registered, ["deleted", "entry_removed"], [], {"state": "absent"}),
    Case("removal, no file", new_card, ["deleted"], [], {"state": "absent"}),
    Case("removal, runner gone", deleted, ["entry_removed"], [], {"state": "absent"}),
    Case("removal, token reset", reset_in_the_web_page, ["deleted", "entry_removed"], [], {"state": "absent"}),
    Case(
        "removal, token reset, wanted for another project since",
        reset_and_wanted_for_another_project,
        ["deleted", "entry_removed"],
        [],
        {"state": "absent", "project_id": 43},
    ),
    Case("removal, registered by hand", by_hand, ["entry_removed"], [], {"state": "absent"}),
    Case("removal, nothing there", nothing, [], [], {"state": "absent"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_by_api_token(aged_world: World, pi: Pi, case: Case) -> None:
    world = aged_world
    case.arrange(world, pi)
    foreign = portraits(world)
    foretold, done, again = thrice(world, pi, **case.options)
    assert foretold["actions"] == done["actions"] == case.actions
    assert foretold["diff"] == done["diff"]
    assert again["actions"] == []
    assert world.with_key(KEY) == case.left
    assert {number: portraits(world)[number] for number in foreign} == foreign
    present = case.options.get("state") != "absent"
    assert [item["name"] for item in pi.named("docker")] == ["docker"] * present
    if present:
        runner = world.gitlab.runner_by_token(pi.named("docker")[0]["token"])
        assert runner is not None
        assert [runner.id] == case.left
        # only the trace of a run that may still be under way stays
        assert ("registering" in (pi.content or "")) == (case.arrange is duplicates_and_an_interrupted_run)


def portraits(world: World) -> dict[int, tuple[Any, ...]]:
    """The runners that carry another note than ours, and may not change in any row."""
    foreign = ("somebody else's", "pifleet.ci: other/pi-01/docker", "pifleet.ci: default/pi-02/docker")
    runners = world.gitlab.runners.values()
    return {runner.id: portrait(runner) for runner in runners if runner.maintenance_note in foreign}


ABSENT = {"state": "absent"}


@pytest.mark.parametrize(
    ("arrange", "options", "words"),
    [
        pytest.param(another_machine_runs_it, {}, f"is run by another machine, system id {OTHER} at", id="claimed"),
        pytest.param(another_machine_runs_it, ABSENT, f"another machine, system id {OTHER} at", id="claimed, removal"),
        pytest.param(new_card_long_after, {}, f"was run by another machine, system id {OTHER} at", id="silent"),
        pytest.param(new_card_long_after, ABSENT, "set takeover: true", id="silent, removal"),
        pytest.param(token_from_environment, {}, "environment variable of GitLab Runner", id="token elsewhere"),
        pytest.param(
            token_from_environment, {**ABSENT, "takeover": True}, "environment", id="token elsewhere, removal"
        ),
        pytest.param(url_from_environment, {}, "environment variable of GitLab Runner", id="url elsewhere"),
        pytest.param(another_gitlab, {}, "is for https://old.example.com", id="entry of another GitLab"),
        pytest.param(
            another_gitlab_whose_id_is_out_of_sight_here,
            {},
            "is for https://old.example.com",
            id="entry of another GitLab, its id out of sight here",
        ),
        pytest.param(by_hand, {"adopt_existing_entry": False}, "adopt_existing_entry: true", id="not to be adopted"),
        pytest.param(
            by_hand_with_a_long_note,
            {},
            r"note of runner 1 has 1000 characters, .* it may have 991: shorten it in GitLab",
            id="no room for our key",
        ),
        pytest.param(registered, {"project_id": 43}, "GitLab cannot move a runner", id="another project"),
        pytest.param(
            reset_and_wanted_for_another_project,
            {"project_id": 43},
            "GitLab cannot move a runner",
            id="another project, token reset",
        ),
    ],
)
@pytest.mark.parametrize("version", SHOWS_MANAGERS)
def test_refused(server: Server, pi: Pi, version: str, arrange: Arrange, options: dict[str, Any], words: str) -> None:
    world = World(server.gitlab, server.url, version=version)
    arrange(world, pi)
    before = pi.content
    for check in (True, False):
        with pytest.raises(UnsafeChange, match=words):
            world.register(pi, check=check, **options)
    assert world.gitlab.journal.writes() == []
    assert pi.content == before


def test_a_gitlab_that_does_not_say_who_runs_a_runner_hinders_no_adoption(server: Server, pi: Pi) -> None:
    world = World(server.gitlab, server.url, version=VERSIONS[0])
    another_machine_runs_it(world, pi)
    assert world.register(pi).actions == ADOPTED


@pytest.mark.parametrize(
    ("version", "arrange"),
    [
        *((version, arrange) for version in ("16.0.0", "16.8.9") for arrange in (registered, drifted(paused=True))),
        *((version, arrange) for version in ("16.0.0", "16.10.9") for arrange in (nothing, new_card, deleted, expired)),
    ],
)
@pytest.mark.parametrize("graphql", [True, False])
def test_a_gitlab_that_is_too_old_is_refused_before_anything_is_made(
    server: Server, pi: Pi, version: str, arrange: Arrange, graphql: bool
) -> None:
    world = World(server.gitlab, server.url, version=version)
    world.gitlab.settings.graphql = graphql
    world.token = world.gitlab.add_token(world.gitlab.users[1], ["api"])
    arrange(world, pi)
    before, runners = pi.content, {number: portrait(runner) for number, runner in world.gitlab.runners.items()}
    with pytest.raises(UnsupportedVersion, match=rf"is version {version}\..* needs GitLab 16\.11 or newer"):
        world.register(pi)
    assert world.gitlab.journal.writes() == []
    assert pi.content == before
    assert {number: portrait(runner) for number, runner in world.gitlab.runners.items()} == runners


def test_a_removal_leaves_all_entries_of_another_gitlab(world: World, pi: Pi) -> None:
    another_gitlab(world, pi)
    pi.content = (pi.content or "") + entry(world, 8, "glrt-second", url="https://old.example.com")
    before = pi.content
    foretold, done, again = thrice(world, pi, **ABSENT)
    assert foretold["actions"] == done["actions"] == again["actions"] == []
    assert pi.content == before


def test_two_entries_of_one_token_become_one(world: World, pi: Pi) -> None:
    two_entries_of_one_token(world, pi)
    world.gitlab.reset_runner_token(1)
    assert world.register(pi).actions == RESET
    assert [item["name"] for item in pi.entries] == ["docker"]


OUTAGES = ["unauthorized", "proxy_forbidden", "not_found_page", "gone", "unprocessable", "server_error", "bad_gateway"]
OUTAGES += ["resource_lock", "unavailable", "captive_portal", "empty", "truncated_json", "too_many_requests"]


@pytest.mark.parametrize("reply", OUTAGES)
@pytest.mark.parametrize("arrange", [registered, reset_in_the_web_page, new_card, nothing])
def test_an_outage_is_never_an_answer(world: World, pi: Pi, reply: str, arrange: Arrange) -> None:
    """Whatever GitLab or something before it says at any of the first requests: file and GitLab stay as they are."""
    arrange(world, pi)
    before, runners = pi.content, sorted(world.gitlab.runners)
    for nth in (1, 2):
        world.gitlab.faults.add(Fault(reply=reply, nth=nth, times=None))
        with pytest.raises(GitLabError) as caught:
            world.register(pi)
        assert "\n" not in str(caught.value)
        assert (pi.content or "").replace("\n", "") == (before or "").replace("\n", "")
        assert sorted(world.gitlab.runners) == runners
        world.gitlab.faults.clear()
        if arrange is nothing:
            break  # its second request is the creation, which may have been carried out: see test_lost_replies.py


@pytest.mark.parametrize(
    ("arrange", "options", "words"),
    [
        pytest.param(cloned, {}, "belongs to runner 1 (default/pi-02/docker), which is left alone", id="clone"),
        pytest.param(by_hand, {"state": "absent"}, "Runner 1 stays in GitLab", id="removal of one by hand"),
        pytest.param(
            ours_and_one_by_hand_of_one_name, {}, "Runner 2 stays in GitLab without an entry", id="second of one name"
        ),
        pytest.param(two_entries_of_one_name, {}, "", id="second of one name, with a dead token"),
        pytest.param(two_entries_of_one_token, {}, "", id="second of one token"),
        pytest.param(registered, {}, "", id="nothing"),
    ],
)
def test_what_is_left_behind_is_said(
    world: World, pi: Pi, arrange: Arrange, options: dict[str, Any], words: str
) -> None:
    arrange(world, pi)
    outcome = world.register(pi, check=True, **options)
    said = left_behind(desired_runner(world.options(**options), pi.name), outcome.observed)
    assert words in " ".join(said)
    assert bool(said) == bool(words)
