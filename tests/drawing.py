# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the tests that take long are drawn for this run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest
from sizes import dice


def takes(seconds: int, together: str = "") -> pytest.MarkDecorator:
    """A mark for tests that take long: of these some are drawn. Those with a common name are drawn together."""
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


def leave_out(items: Iterable[pytest.Item], limit: int, purpose: str, variable: str) -> None:
    """Skip those of the tests marked with `takes` that are not drawn.

    limit: seconds that those that are drawn may take together, the value of the environment variable of this name.
    """
    groups: dict[str, list[pytest.Item]] = {}
    seconds: dict[str, int] = {}
    for item in items:
        mark = item.get_closest_marker("takes")
        if mark and not any(skip.args[0] for skip in item.iter_markers("skipif")):
            name = mark.args[1] or item.nodeid
            groups.setdefault(name, []).append(item)
            seconds[name] = mark.args[0]
    names = sorted(groups)
    drawing = dice(purpose)
    order = thinned(drawing.sample(names, len(names)), seconds, limit, drawing.random)
    chosen = within(order, seconds, limit)
    for name in set(names) - chosen:
        for test in groups[name]:
            reason = f"takes {seconds[name]} s and is not drawn; {variable}={limit}"
            test.add_marker(pytest.mark.skip(reason=reason))
