# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL of a whole real play at a request or an execution of the module, then one run: exactly one runner.

`make test` draws histories and moments, `make soak` takes all of them. tests/integration/kills kills on Pis, and within
the module.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_gitlab.server import Server
from plays.cores import PLAYBOOKS
from registration_kills import STARTS, kill_repeatedly
from registration_play import Play
from registration_world import VERSIONS, World
from sizes import PLAY_HISTORIES, PLAY_KILLS, drawn

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 30 * PLAY_KILLS)]

REMOVALS = ["drifted", "duplicated", "token reset"]
HISTORIES = [
    (start, state, version)
    for version in VERSIONS
    for start in STARTS
    for state in ("present", "absent")
    if state == "present" or start in REMOVALS
]


@pytest.mark.parametrize(("start", "state", "version"), drawn(HISTORIES, PLAY_HISTORIES, "histories of killed plays"))
def test_killed_play(server: Server, tmp_path: Path, start: str, state: str, version: str) -> None:
    (program,) = drawn(PLAYBOOKS, 1, f"core of {start}, {state}, {version}")
    play = Play(program, tmp_path, World(server.gitlab, server.url, version=version))
    assert kill_repeatedly(play, STARTS[start], state=state) >= 6
