# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test has: a seed that is shown, and a time limit that ends whatever hangs."""

from __future__ import annotations

import faulthandler
import os
import threading
from typing import Any

import pytest
from hypothesis import settings
from pytest_timeout import is_debugging
from sizes import SEED

# Not the profile "ci", in which Hypothesis draws the same examples for ever; a slow machine is no failure.
settings.register_profile("pifleet", settings.get_profile("default"), deadline=None)
settings.load_profile("pifleet")

_STDERR = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STDERR] = os.dup(2)  # before tests' output is captured
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = SEED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"drawn from PIFLEET_SEED={SEED}; set it to draw the same again")


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """Instead of pytest-timeout's own timers.

    The one that raises in the main thread hangs with it where that waits for other threads to end; the other one writes
    to the standard output, which a worker of pytest-xdist has not.
    """

    def end() -> None:
        if is_debugging():
            return
        os.write(stderr, f"\n{item.nodeid} has not ended within {settings.timeout:g} s\n".encode())
        faulthandler.dump_traceback(stderr)
        os._exit(1)

    stderr = item.config.stash[_STDERR]
    timer = threading.Timer(settings.timeout, end)
    timer.daemon = True
    timer.start()
    item.cancel_timeout = timer.cancel  # type: ignore[attr-defined] # pytest-timeout calls it in the end
    return True
