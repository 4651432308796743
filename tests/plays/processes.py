# SPDX-License-Identifier: GPL-3.0-or-later
"""What everybody on this machine can read of its processes."""

from __future__ import annotations

import contextlib
from pathlib import Path

from plays.watcher import Watcher


class ProcessWatcher(Watcher):
    """Collects the command lines of all processes; those in this machine's containers are among them."""

    def __init__(self) -> None:
        super().__init__(seconds=0.02)
        self._seen: set[bytes] = set()

    @property
    def command_lines(self) -> str:
        return b"\n".join(self._seen).decode(errors="replace")

    def observe(self) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                self._seen.add(path.read_bytes())
