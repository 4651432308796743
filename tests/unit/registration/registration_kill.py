# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL for everything that belongs to a play, wherever it runs on this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

MARK = "PIFLEET_TEST_PLAY"
"""The environment variable that a play's processes have in common."""


def kill_all(mark: str) -> None:
    """SIGKILL for every process of a play: the workers have sessions of their own, so the group is not enough."""
    wanted = f"{MARK}={mark}".encode()
    victims = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                if wanted in (process / "environ").read_bytes().split(b"\0"):
                    victims.append(int(process.name))
            except OSError:
                continue
    for victim in victims:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
