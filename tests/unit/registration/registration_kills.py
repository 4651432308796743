# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a real play at its events: which they are is taken from an undisturbed play."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from registration_play import SHOW_ACTIONS, Play, actions, recap
from registration_world import Pi, World
from sizes import PLAY_KILLS, drawn

Start = Callable[[World, Pi], object]


def bare(world: World, pi: Pi) -> None:
    """Nothing on the host, nothing in GitLab."""


def new_card(world: World, pi: Pi) -> None:
    world.register(pi)
    pi.reflash()


def token_reset(world: World, pi: Pi) -> None:
    world.register(pi)
    world.gitlab.reset_runner_token(1)


def duplicated(world: World, pi: Pi) -> None:
    new_card(world, pi)
    world.gitlab.duplicate_runner(1)


def drifted(world: World, pi: Pi) -> None:
    world.register(pi)
    world.gitlab.edit_runner(1, tag_list=["odd"], maintenance_note="")


STARTS: dict[str, Start] = {
    "bare": bare,
    "new card": new_card,
    "token reset": token_reset,
    "duplicated": duplicated,
    "drifted": drifted,
}


class Moment(Protocol):
    def kill(self, play: Play, options: dict[str, Any]) -> None:
        """Run a play that does not get beyond this moment."""


@dataclass(frozen=True)
class AtRequest:
    number: int
    when: str

    def kill(self, play: Play, options: dict[str, Any]) -> None:
        play.kill_at_request(self.number, self.when)
        die(play, options)


@dataclass(frozen=True)
class AtExecution:
    number: int
    when: str

    def kill(self, play: Play, options: dict[str, Any]) -> None:
        play.kill_at_execution(self.number, self.when)
        die(play, options)


def die(play: Play, options: dict[str, Any]) -> None:
    killed = play.register(**options)
    play.live()
    assert killed.returncode == -9, killed.stdout + killed.stderr


def kill_repeatedly(play: Play, start: Start, **options: Any) -> int:
    """Kill at some requests and executions of the module, in the soak at every one. Returns how many there are."""
    moments = events(play, start, options)
    kill_at(drawn(moments, PLAY_KILLS, f"kills {start.__name__} {options}"), play, start, options)
    return len(moments)


def events(play: Play, start: Start, options: dict[str, Any]) -> list[Moment]:
    """Before and after every request and every execution of the module, as an undisturbed play makes them."""
    again(play, start)
    done = play.register(**options)
    assert recap(done) == (1, 0), done.stdout + done.stderr
    found: list[Moment] = []
    for when in ("before", "after"):
        found += [AtRequest(number + 1, when) for number in range(len(play.world.gitlab.journal))]
        found += [AtExecution(number + 1, when) for number in range(play.module_executions)]
    return found


def kill_at(moments: Iterable[Moment], play: Play, start: Start, options: dict[str, Any]) -> None:
    """Kill at each of the moments, and look at what one more run makes of it."""
    for moment in moments:
        again(play, start)
        try:
            moment.kill(play, options)
            heal(play, options)
        except BaseException as error:
            error.add_note(f"{play.host.name}, killed at {moment}")
            raise


def again(play: Play, start: Start) -> None:
    """The same start once more, in an empty world."""
    pi = Pi(play.host.name, play.system_id)
    play.world.__post_init__()
    start(play.world, pi)
    play.host.put({} if pi.content is None else {"config.toml": pi.content, ".runner_system_id": pi.system_id})
    play.world.gitlab.journal.clear()


def heal(play: Play, options: dict[str, Any]) -> None:
    """Register once, which must put everything right, and once more, which must find nothing to do."""
    task = play.task(**options)
    done = play.run([task, task, SHOW_ACTIONS], play.host.name, "-v")
    assert recap(done)[1] == 0, done.stdout + done.stderr
    assert actions(done) == []
    files = play.host.files()
    entries = tomllib.loads(files.get("config.toml", "")).get("runners", [])
    numbers = play.world.with_key(f"default/{play.host.name}/docker")
    assert not files.keys() - {"config.toml", ".runner_system_id"}, "a temporary file was left behind"
    if options.get("state") == "absent":
        assert (numbers, entries) == ([], [])
        return
    (entry,) = entries
    runner = play.world.gitlab.runner_by_token(entry["token"])
    assert runner is not None
    assert [runner.id] == [entry["id"]] == numbers == list(play.world.gitlab.runners)
