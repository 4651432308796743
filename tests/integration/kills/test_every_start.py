# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL of whole plays on Pis at every request and every file operation, from the other starts, and of removals."""

from __future__ import annotations

import pytest
from kills_on_pis import kill_everywhere
from registration_kills import STARTS
from registration_play import Play
from simulated_pi import SimulatedPi


@pytest.mark.parametrize("start", sorted(STARTS.keys() - {"bare"}))
def test_plays_killed_everywhere(plays: dict[SimulatedPi, Play], start: str) -> None:
    assert kill_everywhere(plays, STARTS[start]) >= 8


@pytest.mark.parametrize("start", ["drifted", "duplicated", "token reset"])
def test_removals_killed_everywhere(plays: dict[SimulatedPi, Play], start: str) -> None:
    assert kill_everywhere(plays, STARTS[start], state="absent") >= 8
