# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance's settings, as an administrator would find them in the admin area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fake_gitlab import versions
from fake_gitlab.tokens import TokenStyle


@dataclass
class Settings:
    """Defaults are those of a fresh GitLab 19."""

    version: str = "19.4.0"
    """The release that the instance is, 16.0 or newer; `versions.py` says what depends on it."""
    allow_registration_tokens: bool = False
    registration_token: str = field(default="", repr=False)
    admin_mode: bool = False
    """With it, an administrator's token has an administrator's power only if it carries the scope `admin_mode`."""
    token_style: TokenStyle = "infixed"
    token_lifetime: float | None = None
    """Seconds after which runner tokens expire; the shortest of the instance's and the owning groups' wins."""
    runner_limit: int = 1000
    """Runners that a group or a project may have, counting those made or heard from within seven days."""
    migrations_running: bool = False
    graphql: bool = True
    """Without it, `/api/graphql` is answered 404 with a page, as by a proxy that lets only `/api/v4` through."""
    trace_limit: int = 100 * 1024 * 1024
    """Bytes of log that end a job."""
    trace_storing: float = 0.0
    """Seconds for which the end of a job is answered 202, because its log is still being stored."""
    trace_update_interval: int = 3
    """Seconds between trace updates that the server asks of the runner program."""


def update_settings(settings: Settings, values: Mapping[str, Any]) -> None:
    """Set settings by name. Raises ValueError for one that does not exist, and for a version that is not modelled."""
    unknown = sorted(name for name in values if not hasattr(settings, name))
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(unknown)}")
    if "version" in values:
        versions.parse(str(values["version"]))
    for name, value in values.items():
        setattr(settings, name, value)
