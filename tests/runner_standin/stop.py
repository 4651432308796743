# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping a running job: cancellation, shutdown of the runner, timeout."""

from __future__ import annotations

import enum
import threading
import time


class Cause(enum.Enum):
    CANCELED = "canceled"
    SHUTDOWN = "aborted: the runner is shutting down"
    TIMEOUT = "execution took longer than the job's timeout"


class JobStopped(Exception):
    """Raised in the job's thread when the job has to end early."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause


class Stop:
    """A request to stop a job, with its cause. Any thread may `set` it; the job's thread calls `check`."""

    def __init__(self, timeout: float) -> None:
        """`timeout` is the job's, in seconds from now."""
        self._deadline = time.monotonic() + timeout
        self._lock = threading.Lock()
        self._cause: Cause | None = None

    def set(self, cause: Cause) -> None:
        """Request the stop; a second cause is ignored."""
        with self._lock:
            self._cause = self._cause or cause

    def check(self) -> None:
        """Raise JobStopped if a stop was requested or the timeout has passed."""
        if self._cause is None and time.monotonic() > self._deadline:
            self.set(Cause.TIMEOUT)
        if self._cause is not None:
            raise JobStopped(self._cause)
