# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL of a real play at every request and every execution of the module, from every start, and of removals."""

from __future__ import annotations

from pathlib import Path

import pytest
from registration_kills import STARTS, kill_everywhere
from registration_play import PLAYBOOKS, Play
from registration_world import World


@pytest.mark.slow
@pytest.mark.parametrize("program", PLAYBOOKS.split(":"))
@pytest.mark.parametrize("start", sorted(STARTS))
def test_play_killed_everywhere(world: World, tmp_path: Path, start: str, program: str) -> None:
    assert kill_everywhere(Play(program, tmp_path, world), STARTS[start]) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("start", ["drifted", "duplicated", "token reset"])
def test_removal_killed_everywhere(world: World, tmp_path: Path, start: str) -> None:
    play = Play(PLAYBOOKS.split(":")[0], tmp_path, world)
    assert kill_everywhere(play, STARTS[start], state="absent") >= 6
