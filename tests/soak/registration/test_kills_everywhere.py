# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL of a real play at every request and every execution of the module, from every start, and of removals."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_gitlab.server import Server
from registration_kills import STARTS, kill_everywhere
from registration_play import PLAYBOOKS, Play
from registration_world import VERSIONS, World


@pytest.mark.slow
@pytest.mark.parametrize("program", PLAYBOOKS.split(":"))
@pytest.mark.parametrize(("start", "version"), zip(sorted(STARTS), VERSIONS, strict=True))
def test_play_killed_everywhere(server: Server, tmp_path: Path, start: str, version: str, program: str) -> None:
    world = World(server.gitlab, server.url, version=version)
    assert kill_everywhere(Play(program, tmp_path, world), STARTS[start]) >= 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "version"), [("drifted", "16.11.0"), ("duplicated", "18.11.0"), ("token reset", "19.1.0")]
)
def test_removal_killed_everywhere(server: Server, tmp_path: Path, start: str, version: str) -> None:
    play = Play(PLAYBOOKS.split(":")[0], tmp_path, World(server.gitlab, server.url, version=version))
    assert kill_everywhere(play, STARTS[start], state="absent") >= 6
