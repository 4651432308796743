# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL of a whole real play at every request and every execution of the module, then one run: exactly one runner.

Here the two histories that matter most, each with another version of GitLab; tests/soak/registration goes through the
others, tests/integration/kills kills on Pis, and within the module.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_gitlab.server import Server
from registration_kills import STARTS, kill_everywhere
from registration_play import PLAYBOOKS, Play
from registration_world import World


@pytest.mark.slow
@pytest.mark.parametrize(("start", "version"), [("bare", "19.1.0"), ("new card", "17.11.0")])
def test_play_killed_everywhere(server: Server, tmp_path: Path, start: str, version: str) -> None:
    play = Play(PLAYBOOKS.split(":")[0], tmp_path, World(server.gitlab, server.url, version=version))
    assert kill_everywhere(play, STARTS[start]) >= 10
