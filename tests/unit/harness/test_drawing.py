# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the tests that take long are drawn: each of them in some run."""

from __future__ import annotations

from itertools import permutations

from drawing import thinned, within

SECONDS = {"short": 20, "long": 110, "longer than the limit": 170}


def test_what_fits_is_taken_in_order() -> None:
    assert within(["short", "long", "longer than the limit"], SECONDS, 130) == {"short", "long"}
    assert within(["long", "short"], SECONDS, 120) == {"long"}
    assert within([], SECONDS, 120) == set()


def test_the_longer_a_test_takes_the_more_rarely_it_is_drawn() -> None:
    assert thinned(list(SECONDS), SECONDS, 60, lambda: 0.0) == list(SECONDS)
    assert thinned(list(SECONDS), SECONDS, 60, lambda: 0.5) == ["short", "long"]
    assert thinned(list(SECONDS), SECONDS, 60, lambda: 0.99) == ["short"]


def test_none_is_left_out_for_good() -> None:
    drawn = set().union(*(within(order, SECONDS, 120) for order in permutations(SECONDS)))
    assert drawn == set(SECONDS)
