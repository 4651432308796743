# SPDX-License-Identifier: GPL-3.0-or-later
"""The signals that a runner process obeys, as a queue."""

from __future__ import annotations

import select
import signal
import socket

OBEYED = (signal.SIGQUIT, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Catches the signals of this process from now on; the main thread alone may make one.

    The wake-up descriptor is written at once, whichever thread the kernel interrupts. A Python handler would wait
    until the main thread runs again.
    """

    def __init__(self) -> None:
        self._reader, writer = socket.socketpair()
        writer.setblocking(False)
        self._writer = writer
        signal.set_wakeup_fd(writer.fileno())
        for number in OBEYED:
            signal.signal(number, lambda *_: None)

    def wait(self, seconds: float) -> signal.Signals | None:
        """Return the next signal, None when there is none within that time."""
        if not select.select([self._reader], [], [], seconds)[0]:
            return None
        number = self._reader.recv(1)[0]
        return signal.Signals(number) if number in OBEYED else None
