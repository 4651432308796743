# SPDX-License-Identifier: GPL-3.0-or-later
"""Two operators run the play on the same Pi at the same moment, for real: one runner, one entry, one valid token."""

from __future__ import annotations

import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from registration_kills import STARTS, again
from registration_play import Play, actions
from simulated_pi import SimulatedPi
from sizes import ROUNDS


@pytest.mark.parametrize("start", ["bare", "new card", "token reset"])
def test_two_plays_at_once(plays: dict[SimulatedPi, Play], tmp_path: Path, start: str) -> None:
    first = next(iter(plays.values()))
    (tmp_path / "second").mkdir()
    second = Play(first.program, tmp_path / "second", first.world, first.host)
    second.mark = first.mark  # by which the fixture finds what is left
    for _round in range(ROUNDS):
        again(first, STARTS[start])
        with ThreadPoolExecutor() as pool:
            ended = list(pool.map(lambda play: play.register(), (first, second)))
        assert 0 in [play.returncode for play in ended], [play.stdout + play.stderr for play in ended]
        (entry,) = tomllib.loads(first.host.files()["config.toml"])["runners"]
        runner = first.world.gitlab.runner_by_token(entry["token"])
        assert runner is not None
        assert [runner.id] == [entry["id"]] == list(first.world.gitlab.runners)
        assert actions(first.register()) == []
