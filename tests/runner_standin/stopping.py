# SPDX-License-Identifier: GPL-3.0-or-later
"""How a running job learns that it has to end early."""

from __future__ import annotations

import enum
import threading
import time


class Cause(enum.Enum):
    CANCELED = "canceled"
    SHUTDOWN = "aborted: the runner is shutting down"
    TIMEOUT = "execution took longer than the job's timeout"


class Stopped(Exception):
    """Raised inside a job that has to end now."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause


class Stop:
    """A flag with a reason and a deadline; any thread may set it, the job's own thread asks `check`."""

    def __init__(self, timeout: float) -> None:
        self._deadline = time.monotonic() + timeout
        self._lock = threading.Lock()
        self._cause: Cause | None = None

    def set(self, cause: Cause) -> None:
        """The first cause stays."""
        with self._lock:
            self._cause = self._cause or cause

    def check(self) -> None:
        if self._cause is None and time.monotonic() > self._deadline:
            self.set(Cause.TIMEOUT)
        if self._cause is not None:
            raise Stopped(self._cause)
