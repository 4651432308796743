# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL of whole plays on bare Pis at every request and every file operation, then one run: exactly one runner.

test_every_start.py goes through the other histories.
"""

from __future__ import annotations

from kills_on_pis import kill_everywhere
from registration_kills import STARTS
from registration_play import Play
from simulated_pi import SimulatedPi


def test_plays_killed_everywhere(plays: dict[SimulatedPi, Play]) -> None:
    assert kill_everywhere(plays, STARTS["bare"]) >= 50
