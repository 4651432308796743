# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scenario's fleet the tests look at, and which tests look at it."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from sizes import SOAK, drawn, one_of

SCENARIO = os.environ.get("PIFLEET_SCENARIO", "default")
SCENARIOS = ("default", "swarm")


def only_in(scenario: str) -> pytest.MarkDecorator:
    """A mark for tests of what only this scenario has."""
    return pytest.mark.skipif(scenario != SCENARIO, reason=f"a test of the scenario {scenario}")


def in_one_scenario(purpose: str) -> pytest.MarkDecorator:
    """A mark for tests that both scenarios have, and that take long: one of them is drawn."""
    here = SCENARIO in one_of(SCENARIOS, f"scenario of {purpose}")
    return pytest.mark.skipif(not here, reason="drawn for the other scenario; with PIFLEET_SOAK=1 it runs in both")


def some_of(tests: Sequence[str], count: int, purpose: str) -> dict[str, pytest.MarkDecorator]:
    """Marks, by name, for tests that take minutes: `count` of them are drawn, each for one scenario."""
    chosen = drawn(tests, len(tests) if SOAK else count, purpose)
    left_out = pytest.mark.skip(reason="another one is drawn; with PIFLEET_SOAK=1 all of them run")
    return {test: in_one_scenario(f"{purpose}: {test}") if test in chosen else left_out for test in tests}
