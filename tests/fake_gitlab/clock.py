# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's clock, which tests can stop and move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Time in UTC: the machine's, moved by an offset, or stopped."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._stopped_at: datetime | None = None

    def now(self) -> datetime:
        return self._stopped_at or datetime.now(UTC) + self._offset

    def stop(self, at: datetime | None = None) -> None:
        """Stand still, at the given aware time or at the present one; only `advance` moves the clock then."""
        self._stopped_at = at or self.now()

    def advance(self, seconds: float) -> None:
        """Move forward (or, with a negative number, back)."""
        if self._stopped_at is None:
            self._offset += timedelta(seconds=seconds)
        else:
            self._stopped_at += timedelta(seconds=seconds)

    def reset(self) -> None:
        self._offset, self._stopped_at = timedelta(), None


def iso(moment: datetime | None) -> str | None:
    """As GitLab prints times: UTC, milliseconds, `Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
