# SPDX-License-Identifier: GPL-3.0-or-later
"""The short form of `make load`: jobs without a pause on the scenario's fleet, and none of them is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from drawing import takes
from integration.scenarios import SCENARIO
from lab.fleet import Lab
from load.fleet import Fleet
from load.measure import Measure, require_whole
from load.report import summary
from sizes import dice, one_of

MODE = {"default": "container", "swarm": "service"}[SCENARIO]
LONGEST = 20
"""Seconds: half of what jobs of the full form take."""
SHORT = ("daemon-reload", "daemon-restart", "runner-image")
"""Those that leave every Pi where it is and need no package; `make load` has the others as well."""
KILLED = one_of(SHORT, "killed under load")


@pytest.fixture(scope="module")
def fleet(lab: Lab) -> Iterator[Fleet]:
    """The scenario's fleet, which gets its settings back."""
    fleet = Fleet(lab, MODE)
    yield fleet
    fleet.settings.clear()
    require_whole(fleet)


@pytest.fixture(scope="module")
def measure(fleet: Fleet) -> Measure:
    return Measure(fleet, dice, longest=LONGEST)


@pytest.mark.timeout(1800)
@takes(110)
@pytest.mark.parametrize("name", SHORT)
def test_no_job_is_lost(fleet: Fleet, measure: Measure, name: str) -> None:
    result = measure.run(name, kill=name in KILLED)
    print(summary([result]))
    if not result.good:
        require_whole(fleet)
    assert result.good, "\n".join(result.problems)
    assert result.jobs >= 12, "two for each runner"
