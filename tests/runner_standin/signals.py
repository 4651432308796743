# SPDX-License-Identifier: GPL-3.0-or-later
"""The signals that the process handles, as a queue."""

from __future__ import annotations

import select
import signal
import socket

HANDLED = (signal.SIGQUIT, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Queues the signals of this process from its creation on, which must happen in the main thread.

    Signals are read from the wake-up descriptor, which the interpreter writes to at once; a Python handler runs only
    when the main thread executes bytecode again.
    """

    def __init__(self) -> None:
        self._reader, writer = socket.socketpair()
        writer.setblocking(False)
        self._writer = writer
        signal.set_wakeup_fd(writer.fileno())
        for number in HANDLED:
            signal.signal(number, lambda *_: None)

    def wait(self, seconds: float) -> signal.Signals | None:
        """Return the next signal, None after `seconds` without one."""
        if not select.select([self._reader], [], [], seconds)[0]:
            return None
        number = self._reader.recv(1)[0]
        return signal.Signals(number) if number in HANDLED else None
