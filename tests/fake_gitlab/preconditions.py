# SPDX-License-Identifier: GPL-3.0-or-later
"""`If-Unmodified-Since`, which every DELETE honours."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fake_gitlab import errors
from fake_gitlab.endpoint import Call


def check_unmodified_since(call: Call, updated_at: datetime) -> None:
    """Raise the 412 when the thing was changed after the given time. A header that is no time at all asks nothing."""
    since = _time(call.headers.get("if-unmodified-since", ""))
    if since is not None and updated_at > since:
        raise errors.precondition_failed()


def _time(text: str) -> datetime | None:
    """An HTTP date or an ISO 8601 time, which is most of what Ruby's `Time.parse` understands."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            time = read(text)
        except ValueError:
            continue
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return None
