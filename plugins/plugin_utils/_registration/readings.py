# SPDX-License-Identifier: GPL-3.0-or-later
"""One reading of a file serves several runners of a task."""

from __future__ import annotations

import time

from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile

SHARED_SECONDS = 10.0
"""How old a reading may be that the next runner shares. A runner can wait for GitLab much longer than that."""


class Readings:
    """What was read or written last, and whether the next runner goes on with it.

    A change by others in between is a conflict at the next write, as it is after any reading.
    """

    def __init__(self) -> None:
        self._latest: tuple[HostFile, float] | None = None
        self._shared: HostFile | None = None

    @property
    def latest(self) -> HostFile | None:
        return self._latest[0] if self._latest else None

    def note(self, file: HostFile) -> HostFile:
        self._latest = (file, time.monotonic())
        return file

    def share(self) -> None:
        """Let the next `take` return what was noted last, unless that is too old."""
        if self._latest and time.monotonic() - self._latest[1] < SHARED_SECONDS:
            self._shared = self._latest[0]

    def take(self) -> HostFile | None:
        shared, self._shared = self._shared, None
        return shared
