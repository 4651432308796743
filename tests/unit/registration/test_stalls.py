# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that stand still at the wrong moment (a laptop sleeps, a Pi does not answer) while another one works."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import FilePort
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.intents import RENEWAL, intents
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import AuthMethod
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile, HostFileConflict, HostFileError
from fake_gitlab import Fault
from registration_world import Pi, Run, World

pytestmark = pytest.mark.homes(secrets=3)

KEY = "default/pi-01/docker"
STALL = 6 * 60
"""Seconds: longer than the lease of an intent."""


def lost_card(world: World, pi: Pi) -> None:
    world.register(pi)
    pi.reflash()


def nothing(world: World, pi: Pi) -> None:
    return


def stall(world: World, pi: Pi) -> Callable[[], None]:
    """Time passes, and another run does all the work and clears our intent, which looks abandoned."""

    def strike() -> None:
        world.gitlab.clock.advance(STALL)
        world.register(pi)

    return strike


def moment(world: World, pi: Pi, name: str) -> int:
    """The number of the last event of that name in an undisturbed run from here."""
    run, twin = Run(), world.make_pi("pi-09", "s_000000000009")
    world.register(twin, run=run)
    return max(number for number, event in enumerate(run.events) if event == name)


@pytest.mark.parametrize("start", [nothing, lost_card])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(8))
def test_a_stall_at_any_event_leaves_one_runner(
    world: World, pi: Pi, start: Callable[[World, Pi], None], number: int, when: str
) -> None:
    start(world, pi)
    world.register(pi, run=Run({(number, when): stall(world, pi)}))
    assert len(world.with_key(KEY)) == 1
    assert world.gitlab.runner_by_token(pi.named("docker")[0]["token"]) is not None


def test_the_age_of_the_intent_is_looked_at_right_before_the_creation(world: World, pi: Pi) -> None:
    """A run that stood still between its intent and the creation does not create on the strength of it."""
    creation = moment(world, pi, "post /user/runners")
    world.gitlab.journal.clear()
    world.register(pi, run=Run({(creation - 1, "after"): stall(world, pi)}))
    assert world.requests().count("POST /user/runners") == 1
    assert len(world.with_key(KEY)) == 1


def test_what_was_asked_for_is_not_forgotten_in_a_conflict(world: World, pi: Pi) -> None:
    """The creation comes late: another run has put its own entry into the file, and cleared our intent, by then."""
    creation = moment(world, pi, "post /user/runners")
    outcome = world.register(pi, run=Run({(creation, "before"): stall(world, pi)}))
    assert outcome.actions == ["created", "removed_duplicate"]
    assert len(world.with_key(KEY)) == 1


@pytest.mark.parametrize("fault", [{"reply": "server_error"}, {"cut": True}])
def test_what_was_asked_for_is_found_by_the_next_run(world: World, pi: Pi, fault: dict[str, object]) -> None:
    """As before, but GitLab fails when the run looks again: the file then says that somebody has to look."""
    creation = moment(world, pi, "post /user/runners")

    def strike() -> None:
        stall(world, pi)()
        world.gitlab.faults.add(Fault(nth=2, times=None, **fault))

    with pytest.raises(GitLabError):
        world.register(pi, run=Run({(creation, "before"): strike}))
    world.gitlab.faults.clear()
    assert len(world.with_key(KEY)) == 2
    world.register(pi)
    assert len(world.with_key(KEY)) == 1


def test_a_clear_failure_leaves_no_file_where_there_was_none(world: World, pi: Pi) -> None:
    """Neither an empty file nor one with an intent, when it is clear that GitLab has created nothing."""
    world.gitlab.faults.add(Fault("POST", "/user/runners", reply="forbidden", times=None))
    with pytest.raises(GitLabError):
        world.register(pi)
    assert pi.content is None
    assert not pi.seeded


def test_a_failure_without_an_intent_writes_nothing(world: World, pi: Pi) -> None:
    world.register(pi)
    pi.seeded = False
    before = pi.content
    world.gitlab.edit_runner(1, paused=True)
    world.gitlab.faults.add(Fault("PUT", reply="forbidden", times=None))
    run = Run()
    with pytest.raises(GitLabError):
        world.register(pi, run=run, paused=False)
    assert pi.content == before
    assert not pi.seeded
    assert "write" not in run.events


def test_a_conflict_while_the_file_is_read_is_tried_again(
    world: World, pi: Pi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `recover`, reading replaces a broken file, and may find that somebody else has just done so."""
    conflicts = [HostFileConflict("changed")]
    port = type(pi.port(Run()))
    read = port.read

    def disturbed(self: FilePort) -> HostFile:
        if conflicts:
            raise conflicts.pop()
        return read(self)

    monkeypatch.setattr(port, "read", disturbed)
    assert world.register(pi).actions == ["created", "entry_written"]


def test_a_file_that_cannot_be_read_is_not_tried_again(world: World, pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def broken(self: FilePort) -> None:
        reads.append(1)
        raise HostFileError("config.toml could not be read: permission denied.")

    monkeypatch.setattr(type(pi.port(Run())), "read", broken)
    with pytest.raises(HostFileError):
        world.register(pi)
    assert len(reads) == 1


def test_intents_are_dated_by_gitlabs_clock(world: World, pi: Pi) -> None:
    """Also where GitLab has said nothing yet: with a clock that is behind, an intent would look old from the start."""
    world.gitlab.clock.advance(STALL)
    with pytest.raises(GitLabError):
        world.register(pi, way=AuthMethod.REGISTRATION, late=True)
    (intent,) = intents(pi.content or "", KEY)
    assert not intent.older_than(RENEWAL, world.gitlab.clock.now())
