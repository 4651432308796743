# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL of whole plays on Pis at requests and file operations, from the other starts, and of removals."""

from __future__ import annotations

import pytest
from kills_on_pis import kill_repeatedly
from registration_kills import STARTS
from registration_play import Play
from simulated_pi import SimulatedPi
from sizes import PLAY_KILLS

pytestmark = pytest.mark.timeout(300 + 60 * PLAY_KILLS)


@pytest.mark.parametrize("start", sorted(STARTS.keys() - {"bare"}))
def test_killed_plays(plays: dict[SimulatedPi, Play], start: str) -> None:
    assert kill_repeatedly(plays, STARTS[start]) >= 8


@pytest.mark.parametrize("start", ["drifted", "duplicated", "token reset"])
def test_killed_removals(plays: dict[SimulatedPi, Play], start: str) -> None:
    assert kill_repeatedly(plays, STARTS[start], state="absent") >= 8
