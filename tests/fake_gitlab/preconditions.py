# SPDX-License-Identifier: GPL-3.0-or-later
"""`If-Unmodified-Since`, which every DELETE honours."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from fake_gitlab import refusals
from fake_gitlab.exchange import Call


def require_unmodified(call: Call, updated_at: datetime) -> None:
    """Raise the 412 when the thing was changed after the given second; a header that is no date fails, too."""
    header = call.headers.get("if-unmodified-since")
    if header is None:
        return
    try:
        since = parsedate_to_datetime(header)
    except ValueError:
        raise refusals.precondition_failed() from None
    if updated_at.replace(microsecond=0) > since:
        raise refusals.precondition_failed()
