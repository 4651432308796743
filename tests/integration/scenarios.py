# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scenario's fleet the tests look at, and which tests look at it."""

from __future__ import annotations

import os

import pytest

SCENARIO = os.environ.get("PIFLEET_SCENARIO", "default")


def only_in(scenario: str) -> pytest.MarkDecorator:
    """A mark for tests of what only this scenario has."""
    return pytest.mark.skipif(scenario != SCENARIO, reason=f"a test of the scenario {scenario}")
