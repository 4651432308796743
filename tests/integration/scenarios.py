# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scenario's fleet the tests look at, and which tests look at it."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest
from sizes import SECONDS, dice

SCENARIO = os.environ.get("PIFLEET_SCENARIO", "default")


def only_in(scenario: str) -> pytest.MarkDecorator:
    """A mark for tests of what only this scenario has."""
    return pytest.mark.skipif(scenario != SCENARIO, reason=f"a test of the scenario {scenario}")


def takes(seconds: int, together: str = "") -> pytest.MarkDecorator:
    """A mark for a test that takes long: of these some are drawn. Tests with a common fixture are drawn together."""
    return pytest.mark.takes(seconds, together)


def leave_out(items: Iterable[pytest.Item]) -> None:
    """Skip those of the tests that take long that are not drawn for this run in this scenario."""
    groups: dict[str, tuple[int, list[pytest.Item]]] = {}
    for item in items:
        mark = item.get_closest_marker("takes")
        if mark and not any(skip.args[0] for skip in item.iter_markers("skipif")):
            seconds, together = mark.args
            groups.setdefault(together or item.nodeid, (seconds, []))[1].append(item)
    left = SECONDS
    names = sorted(groups)
    for name in dice(f"tests of {SCENARIO}").sample(names, len(names)):
        seconds, tests = groups[name]
        if seconds <= left:
            left -= seconds
        else:
            reason = f"takes {seconds} s and is not drawn; PIFLEET_SECONDS={SECONDS}"
            for test in tests:
                test.add_marker(pytest.mark.skip(reason=reason))
