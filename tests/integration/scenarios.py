# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scenario's fleet the tests look at, and which tests look at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest
from sizes import SECONDS, dice

SCENARIO = os.environ.get("PIFLEET_SCENARIO", "default")


def only_in(scenario: str) -> pytest.MarkDecorator:
    """A mark for tests of what only this scenario has."""
    return pytest.mark.skipif(scenario != SCENARIO, reason=f"a test of the scenario {scenario}")


def takes(seconds: int, together: str = "") -> pytest.MarkDecorator:
    """A mark for a test that takes long: of these some are drawn. Tests with a common fixture are drawn together."""
    return pytest.mark.takes(seconds, together)


def within(order: Sequence[str], seconds: Mapping[str, int], limit: int) -> set[str]:
    """Those that fit into the limit, taken in this order. The first one whatever it takes, or it would never run."""
    chosen, left = set(order[:1]), limit - sum(seconds[name] for name in order[:1])
    for name in order[1:]:
        if seconds[name] <= left:
            chosen.add(name)
            left -= seconds[name]
    return chosen


def thinned(order: Sequence[str], seconds: Mapping[str, int], limit: int, random: Callable[[], float]) -> list[str]:
    """Without some of those that take longer than the limit: each is kept the more rarely the longer it takes."""
    return [name for name in order if random() < limit / seconds[name]]


def leave_out(items: Iterable[pytest.Item]) -> None:
    """Skip those of the tests that take long that are not drawn for this run in this scenario."""
    groups: dict[str, list[pytest.Item]] = {}
    seconds: dict[str, int] = {}
    for item in items:
        mark = item.get_closest_marker("takes")
        if mark and not any(skip.args[0] for skip in item.iter_markers("skipif")):
            name = mark.args[1] or item.nodeid
            groups.setdefault(name, []).append(item)
            seconds[name] = mark.args[0]
    names = sorted(groups)
    drawing = dice(f"tests of {SCENARIO}")
    order = thinned(drawing.sample(names, len(names)), seconds, SECONDS, drawing.random)
    chosen = within(order, seconds, SECONDS)
    for name in set(names) - chosen:
        for test in groups[name]:
            reason = f"takes {seconds[name]} s and is not drawn; PIFLEET_SECONDS={SECONDS}"
            test.add_marker(pytest.mark.skip(reason=reason))
