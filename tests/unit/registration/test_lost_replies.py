# SPDX-License-Identifier: GPL-3.0-or-later
"""Every window of a run, enumerated: a kill, a lost reply, a second operator at each event, then one clean run."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import (
    GitLabError,
    OutcomeUnknown,
    RateLimited,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import AuthMethod
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFileError
from fake_gitlab import Fault
from fake_gitlab.server import Server
from registration_world import NEWEST, VERSIONS, Killed, MakePi, Pi, Run, World
from sizes import SOAK

pytestmark = [pytest.mark.slow, pytest.mark.homes(secrets=1)]

KEY = "default/pi-01/docker"

Start = Callable[[World, Pi], None]


def bare(world: World, pi: Pi) -> None:
    return


def new_card(world: World, pi: Pi) -> None:
    world.register(pi)
    pi.reflash()


def reset(world: World, pi: Pi) -> None:
    world.register(pi)
    world.gitlab.reset_runner_token(1)


def duplicated(world: World, pi: Pi) -> None:
    world.register(pi)
    world.gitlab.duplicate_runner(1)
    pi.reflash()


def drifted(world: World, pi: Pi) -> None:
    world.register(pi)
    world.gitlab.edit_runner(1, tag_list=["odd"], maintenance_note="")


STARTS: list[Start] = [bare, new_card, reset, duplicated, drifted]


@dataclass
class Ended:
    """What must hold after a clean run, whatever came before."""

    world: World
    pi: Pi

    def check(self) -> None:
        self.world.gitlab.clock.advance(600)
        self.world.register(self.pi)
        (number,) = self.world.with_key(KEY)
        (entry,) = self.pi.entries
        runner = self.world.gitlab.runner_by_token(entry["token"])
        assert runner is not None
        assert runner.id == entry["id"] == number
        assert self.world.register(self.pi).actions == []


def events(world: World, pi: Pi, start: Start, **changes: str) -> list[tuple[int, str]]:
    """The moments of an undisturbed run from this start."""
    start(world, pi)
    run = Run()
    world.register(pi, run=run, **changes)
    world.__post_init__()
    pi.reflash()
    return list(itertools.product(range(len(run.events)), ("before", "after")))


def kill() -> None:
    raise Killed


AGED_STARTS = list(itertools.product(VERSIONS, STARTS) if SOAK else zip(VERSIONS, STARTS, strict=True))
"""Each start with another version of GitLab; in a soak run each with all of them."""

aged_starts = pytest.mark.parametrize(("version", "start"), AGED_STARTS)


@pytest.fixture
def version() -> str:
    return NEWEST


@pytest.fixture
def world(server: Server, home: MakePi, version: str) -> World:
    return World(server.gitlab, server.url, version=version, make_pi=home)


@aged_starts
def test_killed_at_every_event(world: World, pi: Pi, start: Start) -> None:
    moments = events(world, pi, start)
    assert len(moments) > 8
    for moment in moments:
        world.__post_init__()
        pi.reflash()
        start(world, pi)
        with pytest.raises(Killed):
            world.register(pi, run=Run({moment: kill}))
        Ended(world, pi).check()


@aged_starts
def test_removal_killed_at_every_event(world: World, pi: Pi, start: Start) -> None:
    for moment in events(world, pi, start, state="absent"):
        world.__post_init__()
        pi.reflash()
        start(world, pi)
        with pytest.raises(Killed):
            world.register(pi, run=Run({moment: kill}), state="absent")
        world.register(pi, state="absent")
        assert world.with_key(KEY) == []
        assert pi.entries == []
        assert world.register(pi, state="absent").actions == []


@pytest.mark.parametrize("killed", [False, True])
@aged_starts
def test_second_operator_at_every_event(world: World, pi: Pi, start: Start, killed: bool) -> None:
    """A second operator's whole run falls between any two events of the first, which may be killed soon after."""
    for number, when in events(world, pi, start):
        for later in range(1, 4) if killed else (0,):
            world.__post_init__()
            pi.reflash()
            start(world, pi)
            strikes = {(number, when): lambda: world.register(pi) and None}
            if later:
                strikes[number + later, "after"] = kill
            try:
                world.register(pi, run=Run(strikes))
            except Killed:
                assert killed
            Ended(world, pi).check()


@aged_starts
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("reply", [None, "bad_gateway", "captive_portal", "truncated_json", "server_error"])
def test_reply_lost_at_every_request(world: World, pi: Pi, start: Start, after: bool, reply: str | None) -> None:
    for nth in itertools.count(1):
        world.__post_init__()
        pi.reflash()
        start(world, pi)
        fault = Fault(nth=nth, times=None, after=after, reply=reply, cut=reply is None)
        world.gitlab.faults.add(fault)
        with suppress(GitLabError):
            world.register(pi)
        world.gitlab.faults.clear()
        Ended(world, pi).check()
        if fault.seen < nth:
            break


def test_a_creation_whose_reply_is_lost_is_found_in_the_same_run(world: World, pi: Pi) -> None:
    world.gitlab.faults.add(Fault("POST", "/user/runners", cut=True, after=True))
    assert world.register(pi).actions == ["created", "entry_written"]
    assert world.requests().count("POST /user/runners") == 1
    Ended(world, pi).check()


def test_a_creation_is_never_repeated_in_a_run(world: World, pi: Pi) -> None:
    world.gitlab.faults.add(Fault("POST", "/user/runners", cut=True, times=None))
    with pytest.raises(OutcomeUnknown, match="the next run looks first"):
        world.register(pi)
    assert world.requests().count("POST /user/runners") == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_creation_that_was_rate_limited_is_asked_again_after_a_look(world: World, pi: Pi, after: bool) -> None:
    """Also where the 429 is a proxy's and GitLab has created the runner: the look finds it."""
    world.gitlab.faults.add(Fault("POST", "/user/runners", reply="too_many_requests", after=after))
    actions = world.register(pi).actions
    assert actions == (["adopted", "token_reset", "entry_written"] if after else ["created", "entry_written"])
    asked = [request for request in world.requests() if request.startswith("POST")]
    assert asked[:3] == ["POST /graphql", "POST /user/runners", "POST /graphql"]
    Ended(world, pi).check()


def test_a_registration_that_was_rate_limited_is_not_repeated(world: World, pi: Pi) -> None:
    """With a registration token there is no look that could tell what became of it."""
    world.gitlab.faults.add(Fault("POST", "/runners", reply="too_many_requests"))
    with pytest.raises(RateLimited):
        world.register(pi, way=AuthMethod.REGISTRATION)
    assert world.requests() == ["GET /version", "POST /runners"]


def test_a_creation_that_happens_long_after_is_found(world: World, pi: Pi) -> None:
    """GitLab carries the creation out after a second run has made another: the first run's intent leads to it."""
    with pytest.raises(OutcomeUnknown):
        world.register(pi, late=True)
    world.register(pi)
    world.arrive()
    assert len(world.with_key(KEY)) == 2
    assert world.register(pi).actions == ["removed_duplicate"]
    Ended(world, pi).check()


def test_a_full_disk_is_noticed_before_gitlab_is_asked(world: World, pi: Pi) -> None:
    reset(world, pi)
    world.gitlab.journal.clear()
    with pytest.raises(HostFileError):
        world.register(pi, full=True)
    assert world.gitlab.journal.writes() == []


def test_a_refused_creation_leaves_no_trace(world: World, pi: Pi) -> None:
    world.gitlab.access_tokens.clear()
    alice = next(iter(world.gitlab.users.values()))
    world.token = world.gitlab.add_token(alice, ["read_api", "manage_runner"])
    with pytest.raises(GitLabError, match="lacks the scope create_runner"):
        world.register(pi)
    assert (pi.content or "").strip() == ""


def test_a_late_creation_is_not_mistaken_for_a_second_operators(world: World, pi: Pi) -> None:
    """Our creation is late; what a look finds instead is another operator's. Our intent has to stay."""
    undisturbed = Run()
    world.register(world.make_pi("pi-02", "s_000000000002"), run=undisturbed)
    announced = undisturbed.events.index("write")
    world.register(pi, run=Run({(announced, "after"): lambda: world.register(pi) and None}), late=True)
    assert len(world.with_key(KEY)) == 1
    world.arrive()
    assert len(world.with_key(KEY)) == 2
    assert "removed_duplicate" in world.register(pi).actions
    Ended(world, pi).check()
