# SPDX-License-Identifier: GPL-3.0-or-later
"""Automatic rotation of expiring authentication tokens, after three quarters of their lifetime."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path

from runner_standin import config, encode
from runner_standin.config import NEVER, Config, ConfigError, Runner
from runner_standin.gitlab import Client, RequestFailed

_FRACTION = 0.75
_LOG = logging.getLogger(__name__)


def due(current: Config, now: datetime.datetime | None = None) -> Runner | None:
    """The first entry whose token is to be rotated at `now` (default: the current time)."""
    now = now or datetime.datetime.now(datetime.UTC)
    return next((runner for runner in current.runners if _is_due(runner, now)), None)


def rotate(path: Path, runner: Runner, system_id: str) -> bool:
    """Reset the token of one entry and rewrite the file; False, after logging, when it was not rotated."""
    if not runner.rotates_token:
        return False
    try:
        loaded = config.load(path)
        reply = Client(runner, system_id).reset_token()
        if reply.status != 201:
            _LOG.error("Resetting runner authentication token... failed status=%d", reply.status)
            return False
        result = reply.json()
    except (RequestFailed, ConfigError) as error:
        _LOG.error("Resetting runner authentication token... failed: %s", error)
        return False
    expires = result.get("token_expires_at")
    changes = {
        "token": result["token"],
        "token_obtained_at": datetime.datetime.now(datetime.UTC),
        "token_expires_at": datetime.datetime.fromisoformat(expires) if expires else NEVER,
    }
    entries = [
        {**entry.settings, "url": entry.url, "token": entry.token, **(changes if entry.token == runner.token else {})}
        for entry in loaded.runners
    ]
    encode.save(path, {**loaded.document, "runners": entries})
    _LOG.info("Resetting runner authentication token... succeeded runner=%s", runner.short_token)
    return True


def _is_due(runner: Runner, now: datetime.datetime) -> bool:
    obtained, expires = runner.date("token_obtained_at"), runner.date("token_expires_at")
    if not runner.token or expires == NEVER:
        return False
    return now >= obtained + _FRACTION * (expires - obtained)
