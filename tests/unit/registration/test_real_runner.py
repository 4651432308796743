# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab Runner works with what we write, and we with what it makes of it: one process lives through each scenario.

The program is the stand-in, and the real one as well where PATH has it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.module_utils import _system_id
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import NO_SYSTEM_ID
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.intents import (
    intents,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    AuthMethod,
)
from fake_gitlab import FakeGitLab
from fake_gitlab.journal import Entry
from registration_pi import KilledAfter, RegisteredPi, registered_pi
from registration_world import Killed, World
from unit.runner_standin.standin_pi import eventually
from unit.runner_standin.standin_programs import PROGRAMS, installed

pytestmark = pytest.mark.slow

CREATED = ["created", "entry_written"]
RESET = ["token_reset", "entry_written"]
ADOPTED = ["adopted", *RESET]
REMOVED = ["deleted", "entry_removed"]

HOUR = 3600
ROTATION_IS_DUE = 50 * 60
"""More than three quarters of an hour."""


@pytest.fixture(params=PROGRAMS)
def pi(
    request: pytest.FixtureRequest, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RegisteredPi]:
    with registered_pi(installed(request.param), tmp_path, world, monkeypatch) as pi:
        yield pi


@pytest.fixture
def busy(pi: RegisteredPi) -> RegisteredPi:
    """A Pi that is registered, and whose process has taken a job."""
    assert pi.play() == CREATED
    pi.start()
    pi.takes_a_job()
    return pi


@dataclass(frozen=True)
class Meddling:
    """What somebody does in the web page, what the next run does about it, and what for it asks GitLab."""

    do: Callable[[FakeGitLab], object]
    repair: list[str]
    request: str


MEDDLINGS = {
    "token reset": Meddling(
        lambda gitlab: gitlab.reset_runner_token(1), RESET, "/runners/1/reset_authentication_token"
    ),
    "runner deleted": Meddling(lambda gitlab: gitlab.delete_runner(1), CREATED, "/user/runners"),
}


@pytest.fixture(params=MEDDLINGS)
def meddling(request: pytest.FixtureRequest) -> Meddling:
    return MEDDLINGS[request.param]


@contextmanager
def ago(world: World, seconds: float) -> Iterator[None]:
    """What happens in here happened so long ago, with tokens for an hour; later ones do not expire."""
    world.gitlab.settings.token_lifetime = HOUR
    world.gitlab.clock.advance(-seconds)
    yield
    world.gitlab.clock.advance(seconds)
    world.gitlab.settings.token_lifetime = None


def test_a_bare_pi_is_registered_and_takes_jobs(pi: RegisteredPi) -> None:
    """The process takes the system id that we seeded, and does not mind another run."""
    seeded, _there = _system_id.find_system_id(str(pi.folder))
    assert pi.play() == CREATED
    pi.start()
    pi.takes_a_job()
    runner = pi.stays()
    assert list(runner.managers) == [pi.system_id] == [seeded]
    pi.takes_a_job()


def test_an_entry_is_valid_before_it_has_an_executor(pi: RegisteredPi) -> None:
    assert pi.register() == CREATED
    done = pi.command("verify")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["verify", "list", "lint"])
def test_its_commands_accept_the_file(pi: RegisteredPi, command: str) -> None:
    assert pi.play() == CREATED
    done = pi.command(command)
    assert done.returncode == 0, done.stderr
    pi.stays()


@pytest.mark.parametrize("way", AuthMethod)
def test_a_token_that_the_process_rotated_is_kept(pi: RegisteredPi, world: World, way: AuthMethod) -> None:
    """Also where the play still says the token of before, which is dead."""
    with ago(world, ROTATION_IS_DUE):
        options: dict[str, Any] = {"way": way}
        if way is AuthMethod.RUNNER:
            options["token"] = world.by_hand(tag_list=["rpi"]).token
        pi.play(**options)
        given = pi.runner().token
    pi.start()
    eventually(lambda: pi.wrote_another(given))
    assert pi.stays(**options).token != given
    assert list(world.gitlab.runners) == [1]
    pi.takes_a_job()


def test_a_token_that_ended_while_the_pi_was_off(pi: RegisteredPi, world: World) -> None:
    """The process tries to rotate it, in vain and (the real one) without a pause, until it has ours."""

    def tries() -> int:
        return len(world.gitlab.journal.matching("POST", "/runners/reset_authentication_token"))

    with ago(world, 2 * HOUR):
        pi.play()
    pi.start()
    eventually(tries)
    assert pi.play() == RESET
    pi.takes_a_job()
    tried = tries()
    pi.takes_a_job()
    assert tries() == tried
    pi.stays()


def test_a_new_card_after_a_rotation(pi: RegisteredPi, world: World) -> None:
    """The process named no machine when it rotated the token: GitLab saw a nameless one, which is not another Pi."""
    with ago(world, ROTATION_IS_DUE):
        pi.play()
        given = pi.runner().token
    pi.start()
    eventually(lambda: pi.wrote_another(given))
    pi.takes_a_job()
    pi.stop()
    assert set(pi.runner().managers) == {pi.system_id, NO_SYSTEM_ID}
    for file in (pi.config, pi.folder / ".runner_system_id"):
        file.unlink()
    assert pi.play() == ADOPTED
    pi.stays()


def test_a_process_that_is_refused_heals_by_itself(busy: RegisteredPi, world: World, meddling: Meddling) -> None:
    """It had laid the entry to rest for an hour."""
    meddling.do(world.gitlab)
    eventually(lambda: "unhealthy" in busy.log)
    assert busy.play() == meddling.repair
    busy.takes_a_job()
    busy.stays()


def test_a_run_killed_before_it_learns_the_token(busy: RegisteredPi, world: World, meddling: Meddling) -> None:
    """The process has the void token meanwhile, and the next run's in the end."""
    meddling.do(world.gitlab)
    with pytest.raises(Killed):
        busy.register(KilledAfter(request=meddling.request))
    assert busy.play() == RESET
    busy.takes_a_job()
    busy.stays()
    world.gitlab.clock.advance(10 * 60)
    assert busy.play() == ["settled"]
    busy.stays()


def test_a_play_killed_between_registration_and_configuration(pi: RegisteredPi) -> None:
    """The process meets an entry that it cannot use, and lays it to rest."""
    pi.config.write_text("check_interval = 1\n")
    assert pi.register() == CREATED
    pi.start()
    eventually(lambda: "unhealthy" in pi.log)
    assert pi.play() == []
    pi.takes_a_job()
    pi.stays()


def test_a_process_notices_our_file_although_the_clock_went_back(busy: RegisteredPi, world: World) -> None:
    """As after a power cut on a Pi, which has no clock of its own: what the process has loaded is from the future."""
    tomorrow = time.time() + 24 * HOUR
    os.utime(busy.config, (tomorrow, tomorrow))
    busy.signal(signal.SIGHUP)
    world.gitlab.reset_runner_token(1)
    eventually(lambda: "unhealthy" in busy.log)
    assert busy.play() == RESET
    busy.takes_a_job()
    busy.stays()


def test_a_rotation_loses_the_intent_of_a_killed_run(pi: RegisteredPi, world: World) -> None:
    """A second runner was being created when the process wrote the whole file anew for the first."""
    with ago(world, ROTATION_IS_DUE):
        pi.play()
        given = pi.runner().token
    with pytest.raises(Killed):
        pi.register(KilledAfter(request="/user/runners"), name="shell")
    assert intents(pi.config.read_text(), "default/pi-01/shell")
    pi.start()
    eventually(lambda: pi.wrote_another(given))
    assert not intents(pi.config.read_text(), "default/pi-01/shell")
    assert pi.play(name="shell") == ADOPTED
    for name in ("shell", "docker"):
        pi.takes_a_job(name)
        pi.stays(name)


def test_a_run_that_falls_into_a_rotation(pi: RegisteredPi, world: World) -> None:
    """The process then writes what it had read, with a token that our run has made void: the next run repairs it."""
    with ago(world, ROTATION_IS_DUE):
        pi.play()
        given = pi.runner().token

    halted = threading.Event()

    def halt(entry: Entry) -> None:
        if entry.path.endswith("/runners/reset_authentication_token"):
            pi.signal(signal.SIGSTOP)
            halted.set()

    world.gitlab.after_commit = halt
    pi.start()
    assert halted.wait(20)
    world.gitlab.after_commit = None
    assert world.gitlab.runner_by_token(given) is None
    assert pi.play() == RESET
    ours = pi.runner().token
    pi.signal(signal.SIGCONT)
    eventually(lambda: pi.wrote_another(ours))
    assert pi.play() == RESET
    pi.takes_a_job()
    pi.stays()


def test_a_file_that_is_just_being_saved_is_not_taken_for_an_empty_one(pi: RegisteredPi) -> None:
    """The process empties the file before it fills it: every entry and setting would be lost."""
    pi.play()
    pi.play(name="shell")
    whole = pi.config.read_bytes()
    pi.config.write_bytes(b"")
    saving = threading.Timer(0.5, pi.config.write_bytes, [whole])
    saving.start()
    assert pi.play() == []
    saving.join()
    for name in ("docker", "shell"):
        pi.stays(name)


@pytest.mark.parametrize("others", [[], ["shell"]], ids=["the only one", "one of two"])
def test_a_removed_entry_and_its_return(busy: RegisteredPi, world: World, others: list[str]) -> None:
    """The process lives on without an entry, or with the others, and takes a new one in."""
    for name in others:
        assert busy.play(name=name) == CREATED
    assert busy.play(state="absent") == REMOVED
    assert [entry["name"] for entry in busy.entries] == others
    assert world.with_key("default/pi-01/docker") == []
    assert busy.play(state="absent") == []
    for name in others:
        busy.takes_a_job(name)
        busy.stays(name)
    assert busy.play() == CREATED
    busy.takes_a_job()
    busy.stays()
