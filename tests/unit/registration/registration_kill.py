# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL for everything that belongs to a play, wherever it runs on this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

MARK = "PIFLEET_TEST_PLAY"
"""The environment variable that a play's processes have in common. Its value is found nowhere else."""


def kill_all(mark: str) -> None:
    """SIGKILL for every process of a play: the workers have sessions of their own, so the group is not enough.

    The ssh that keeps a connection open writes its title over its environment: it is known by the path of its socket.
    """
    victims = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                if mark.encode() in (process / "environ").read_bytes() + (process / "cmdline").read_bytes():
                    victims.append(int(process.name))
            except OSError:
                continue
    for victim in victims:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
