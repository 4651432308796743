# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab Runner as the tests start it: the stand-in always, the real program where PATH has it."""

from __future__ import annotations

import shutil
import sys

import pytest

REAL = "gitlab-runner"
PROGRAMS = ("stand-in", REAL)


def installed(program: str) -> list[str]:
    """The command of one of PROGRAMS; skips the test where that is not installed."""
    if program != REAL:
        return [sys.executable, "-m", "runner_standin"]
    found = shutil.which(REAL)
    if found is None:
        pytest.skip(f"no {REAL} on PATH")
    return [found]
