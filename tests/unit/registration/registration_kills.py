# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a real play at each of its events, enumerated: which they are is taken from an undisturbed play."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

from registration_play import Play, actions, recap

KEY = "default/pi-01/docker"

Start = Callable[[Play], None]


def bare(play: Play) -> None:
    """Nothing on the host, nothing in GitLab."""


def new_card(play: Play) -> None:
    play.register()
    play.config.unlink()


def token_reset(play: Play) -> None:
    play.register()
    play.world.gitlab.reset_runner_token(1)


def duplicated(play: Play) -> None:
    new_card(play)
    play.world.gitlab.duplicate_runner(1)


def drifted(play: Play) -> None:
    play.register()
    play.world.gitlab.edit_runner(1, tag_list=["odd"], maintenance_note="")


STARTS: dict[str, Start] = {
    "bare": bare,
    "new card": new_card,
    "token reset": token_reset,
    "duplicated": duplicated,
    "drifted": drifted,
}


def kill_everywhere(play: Play, start: Start, **options: Any) -> int:
    """Kill at every moment, and look at what one more run makes of it. Returns the number of kills."""
    again(play, start)
    done = play.register(**options)
    assert recap(done) == (1, 0)
    requests = range(1, len(play.world.gitlab.journal) + 1)
    executions = range(1, play.module_executions + 1)
    kills = 0
    for when in ("before", "after"):
        for number in requests:
            again(play, start)
            play.kill_at_request(number, when)
            killed = play.register(**options)
            play.live()
            assert killed.returncode == -9, killed.stdout + killed.stderr
            healed(play, options)
            kills += 1
        for number in executions:
            again(play, start)
            killed = play.register(strike=f"{number} {when}", **options)
            assert killed.returncode == -9, killed.stdout + killed.stderr
            healed(play, options)
            kills += 1
    return kills


def again(play: Play, start: Start) -> None:
    """The same start once more, in an empty world."""
    play.world.__post_init__()
    play.config.unlink(missing_ok=True)
    start(play)
    play.world.gitlab.journal.clear()


def healed(play: Play, options: dict[str, Any]) -> None:
    recap(play.register(**options))
    numbers = play.world.with_key(KEY)
    entries = tomllib.loads(play.config.read_text()).get("runners", []) if play.config.exists() else []
    if options.get("state") == "absent":
        assert (numbers, entries) == ([], [])
        return
    (entry,) = entries
    runner = play.world.gitlab.runner_by_token(entry["token"])
    assert runner is not None
    assert numbers == [runner.id] == [entry["id"]]
    assert sorted(play.config.parent.glob("*config.toml*")) == [play.config], "a temporary file was left behind"
    assert actions(play.register(**options)) == []
