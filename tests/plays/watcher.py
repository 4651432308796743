# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that observes something again and again for as long as a block lasts."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Watcher(ABC):
    """May be entered more than once; what was seen is kept."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @abstractmethod
    def observe(self) -> None:
        """Note what is there now."""

    def __enter__(self) -> Self:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self.observe()

    def _watch(self) -> None:
        while not self._done.wait(self._seconds):
            self.observe()
