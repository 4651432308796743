# SPDX-License-Identifier: GPL-3.0-or-later
"""How much the tests do, and the seed from which they draw.

`make test` draws a few histories, kills and examples anew on every run; `make soak` takes many, and all of those that
can be counted. Each number is the value of an environment variable where that is set.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

SOAK = bool(os.environ.get("PIFLEET_SOAK"))
SEED = int(os.environ.setdefault("PIFLEET_SEED", str(random.SystemRandom().getrandbits(32))))
"""Set for the workers of pytest-xdist as well, which must draw what this process draws. tests/conftest.py shows it."""


def _size(variable: str, *, test: int, soak: int) -> int:
    return int(os.environ.get(variable, soak if SOAK else test))


HISTORIES = _size("PIFLEET_HISTORIES", test=120, soak=20_000)
"""Random histories of a small fleet."""
EXAMPLES = _size("PIFLEET_EXAMPLES", test=100, soak=5_000)
"""Documents for each property of the config.toml editor."""
KILLS = _size("PIFLEET_KILLS", test=300, soak=10_000)
"""Kills of a process that replaces a file."""
PLAY_HISTORIES = _size("PIFLEET_PLAY_HISTORIES", test=2, soak=200)
"""Histories in which whole plays are killed, of those that there are."""
PLAY_KILLS = _size("PIFLEET_PLAY_KILLS", test=2, soak=200)
"""Kills of whole plays in one history, of all the moments that there are."""
ROUNDS = _size("PIFLEET_ROUNDS", test=1, soak=10)
"""Rounds in which two operators start a play at the same moment."""
SECONDS = _size("PIFLEET_SECONDS", test=60, soak=1_000_000)
"""Seconds that the tests of simulated Pis that take long may take together, in each Molecule scenario."""
PLAY_SECONDS = _size("PIFLEET_PLAY_SECONDS", test=150, soak=1_000_000)
"""Seconds of one core that the files of unit tests with the most plays may take together."""
CORES = _size("PIFLEET_CORES", test=1, soak=20)
"""ansible-cores that the plays of one file run with, of those that are there."""


def dice(purpose: str) -> random.Random:
    """Return a generator for one purpose, which no other drawing disturbs."""
    return random.Random(f"{SEED} {purpose}")


def drawn(choices: Iterable[T], count: int, purpose: str) -> list[T]:
    """Return `count` of the choices, in their order; all of them where there are no more."""
    found = list(choices)
    numbers = dice(purpose).sample(range(len(found)), min(count, len(found)))
    return [found[number] for number in sorted(numbers)]


def one_of(choices: Iterable[T], purpose: str) -> list[T]:
    """Return one of the choices, in the soak all of them: for cases that differ in their values only."""
    return drawn(choices, 1_000 if SOAK else 1, purpose)
