# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a directory hold while something runs, if only for a moment, and who may read them then."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plays.watcher import Watcher


@dataclass(frozen=True)
class Sight:
    """A file at a moment; `path` is relative to the directory."""

    path: str
    mode: int
    content: bytes


class FileWatcher(Watcher):
    """Looks every few milliseconds, and once more at the end."""

    def __init__(self, directory: Path) -> None:
        super().__init__(seconds=0.02)
        self.seen: set[Sight] = set()
        self.directory_modes: defaultdict[str, set[int]] = defaultdict(set)
        self._directory = directory
        self._known: set[tuple[str, int, int, int, int]] = set()

    def present(self) -> list[Sight]:
        """Those that are there now."""
        return [self._sight(path) for path, _state in self._files()]

    def observe(self) -> None:
        for path, state in self._files():
            if state not in self._known:
                with contextlib.suppress(FileNotFoundError):
                    self.seen.add(self._sight(path))
                    self._known.add(state)

    def _files(self) -> Iterator[tuple[str, tuple[str, int, int, int, int]]]:
        for folder, _folders, names in os.walk(self._directory):
            with contextlib.suppress(FileNotFoundError):
                mode = stat.S_IMODE(os.stat(folder).st_mode)
                self.directory_modes[os.path.relpath(folder, self._directory)].add(mode)
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    status = os.lstat(path)
                    if stat.S_ISREG(status.st_mode):
                        yield path, (path, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)

    def _sight(self, path: str) -> Sight:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            return Sight(os.path.relpath(path, self._directory), mode, file.read())
