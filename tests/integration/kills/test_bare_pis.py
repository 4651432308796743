# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL of whole plays on bare Pis at requests and file operations, then one run: exactly one runner.

test_every_start.py, of `make soak`, goes through the other histories.
"""

from __future__ import annotations

import pytest
from drawing import takes
from kills_on_pis import kill_repeatedly
from registration_kills import STARTS
from registration_play import Play
from simulated_pi import SimulatedPi
from sizes import PLAY_KILLS


@takes(35)
@pytest.mark.timeout(300 + 60 * PLAY_KILLS)
def test_killed_plays(plays: dict[SimulatedPi, Play]) -> None:
    assert kill_repeatedly(plays, STARTS["bare"]) >= 50
