# SPDX-License-Identifier: GPL-3.0-or-later
"""The properties of the config.toml editor with many more documents, and ten times the kills."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROPERTIES = ROOT / "tests" / "unit" / "config" / "test_config_properties.py"
NAMES = [line[4:].partition("(")[0] for line in PROPERTIES.read_text().splitlines() if line.startswith("def test_")]


def again(test: str, **more: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/unit/config/{test}"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | more, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_properties(name: str) -> None:
    again(f"test_config_properties.py::{name}", PIFLEET_EXAMPLES="5000")


def test_kills() -> None:
    again("test_atomic_file.py::test_killed_at_random_points", PIFLEET_KILLS="10000")
