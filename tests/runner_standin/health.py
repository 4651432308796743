# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entries rest because GitLab refused them several times in a row."""

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

    def is_good(self, runner: Runner) -> bool:
        """False while the entry rests; after `unhealthy_interval` it may try again."""
        with self._lock:
            if self._failures.get(runner.token, 0) < runner.unhealthy_requests_limit:
                return True
            if time.monotonic() - self._since[runner.token] <= runner.unhealthy_interval:
                return False
            self._failures[runner.token] = 0
            return True

    def mark(self, runner: Runner, good: bool) -> None:
        with self._lock:
            self._failures[runner.token] = 0 if good else self._failures.get(runner.token, 0) + 1
            if self._failures[runner.token] == runner.unhealthy_requests_limit:
                self._since[runner.token] = time.monotonic()
                interval = runner.unhealthy_interval
                _LOG.error("Runner %s is unhealthy and will be disabled for %g seconds!", runner.short, interval)
