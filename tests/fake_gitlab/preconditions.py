# SPDX-License-Identifier: GPL-3.0-or-later
"""The `If-Unmodified-Since` header, which every DELETE honours (GitLab: `check_unmodified_since!`)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fake_gitlab import errors
from fake_gitlab.endpoint import Call


def check_unmodified_since(call: Call, updated_at: datetime) -> None:
    """Raise APIError (412) if `updated_at` is later than the header's time; an unparsable header is ignored."""
    since = _time(call.headers.get("if-unmodified-since", ""))
    if since is not None and updated_at > since:
        raise errors.precondition_failed()


def _time(text: str) -> datetime | None:
    """Parse an HTTP date or an ISO 8601 time, a subset of what Ruby's `Time.parse` accepts; None for anything else."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            time = parse(text)
        except ValueError:
            continue
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return None
