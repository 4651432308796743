# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's clock, which tests can stop and advance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Time in UTC: the system clock plus an offset, or stopped."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._stopped_at: datetime | None = None

    def now(self) -> datetime:
        return self._stopped_at or datetime.now(UTC) + self._offset

    def stop(self, at: datetime | None = None) -> None:
        """Stop at `at` (timezone-aware; default: now); from then on only `advance` moves the clock."""
        self._stopped_at = at or self.now()

    def advance(self, seconds: float) -> None:
        """Move forward, or back for a negative number."""
        if self._stopped_at is None:
            self._offset += timedelta(seconds=seconds)
        else:
            self._stopped_at += timedelta(seconds=seconds)

    def reset(self) -> None:
        self._offset, self._stopped_at = timedelta(), None


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 as GitLab serializes it: UTC, milliseconds, `Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
