# SPDX-License-Identifier: GPL-3.0-or-later
"""`sizes.py`: random choices depend only on the seed and the purpose, and a soak run makes all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sizes

TESTS = Path(__file__).resolve().parents[2]
DRAW = """
import sizes
print(sizes.SEED, sizes.HISTORIES, sizes.drawn(range(9), sizes.CORES, "x"), sizes.one_of("abcdef", "y"))
"""


def draw(**environment: str) -> list[str]:
    """SEED, HISTORIES and the choices of `DRAW`, in a new process with these environment variables."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PIFLEET_")}
    command = [sys.executable, "-c", DRAW]
    done = subprocess.run(
        command, env={**ours, "PYTHONPATH": str(TESTS), **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.split(" ", 2)


def test_choices_depend_on_the_seed() -> None:
    assert draw(PIFLEET_SEED="1") == draw(PIFLEET_SEED="1")
    assert draw(PIFLEET_SEED="1")[2] != draw(PIFLEET_SEED="2")[2]


def test_every_run_has_another_seed_by_default() -> None:
    assert draw()[0] != draw()[0]


def test_a_soak_run_makes_every_choice() -> None:
    assert draw(PIFLEET_SOAK="1")[2] == f"{list(range(9))} {list('abcdef')}\n"


def test_a_size_can_be_set() -> None:
    assert draw(PIFLEET_HISTORIES="7", PIFLEET_SOAK="1")[1] == "7"


@pytest.mark.parametrize("count", [0, 3, 9, 20])
def test_drawn_choices_keep_their_order(count: int) -> None:
    found = sizes.drawn(range(9), count, "a test")
    assert found == sorted(set(found))
    assert len(found) == min(count, 9)
