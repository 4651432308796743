# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and their access tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

SCOPES = ("api", "read_api", "create_runner", "manage_runner", "admin_mode", "read_user")


@dataclass(frozen=True)
class User:
    id: int
    username: str
    admin: bool = False
    auditor: bool = False


@dataclass
class AccessToken:
    """A personal, group or project access token; the API distinguishes only its user and its scopes."""

    user_id: int
    value: str = field(repr=False)
    scopes: frozenset[str]
    expires_at: datetime | None = None
    revoked: bool = False

    def active(self, now: datetime) -> bool:
        return not self.revoked and not self.expired(now)

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now
