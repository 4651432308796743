# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of entries: an entry whose requests fail repeatedly is disabled for `unhealthy_interval`."""

from __future__ import annotations

import logging
import threading
import time

from runner_standin.config import Runner

_LOG = logging.getLogger(__name__)


class Health:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._since: dict[str, float] = {}

    def is_healthy(self, runner: Runner) -> bool:
        """False for `unhealthy_interval` after `unhealthy_requests_limit` consecutive failures."""
        with self._lock:
            if self._failures.get(runner.token, 0) < runner.unhealthy_requests_limit:
                return True
            if time.monotonic() - self._since[runner.token] <= runner.unhealthy_interval:
                return False
            self._failures[runner.token] = 0
            return True

    def record(self, runner: Runner, healthy: bool) -> None:
        """Record the outcome of a request; success resets the count of failures."""
        with self._lock:
            self._failures[runner.token] = 0 if healthy else self._failures.get(runner.token, 0) + 1
            if self._failures[runner.token] == runner.unhealthy_requests_limit:
                self._since[runner.token] = time.monotonic()
                interval = runner.unhealthy_interval
                _LOG.error("Runner %s is unhealthy and will be disabled for %g seconds!", runner.short_token, interval)
