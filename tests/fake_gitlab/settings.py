# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the instance: those of GitLab's admin area, and those of the fake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fake_gitlab import versions
from fake_gitlab.tokens import TokenStyle


@dataclass
class Settings:
    """Defaults are those of a newly installed GitLab 19."""

    version: str = "19.4.0"
    """The GitLab release to behave as, 16.0 or newer; `versions.py` lists what depends on it."""
    allow_registration_tokens: bool = False
    registration_token: str = field(default="", repr=False)
    admin_mode: bool = False
    """If True, an administrator's token has administrator rights only with the scope `admin_mode`."""
    token_style: TokenStyle = "infixed"
    token_lifetime: float | None = None
    """Seconds until runner tokens expire (None: never); the minimum of the instance's and the owner groups' applies."""
    runner_limit: int = 1000
    """The maximum number of runners of a group or project that are not stale."""
    migrations_running: bool = False
    graphql: bool = True
    """If False, `/api/graphql` is a 404 HTML page, as behind a proxy that allows only `/api/v4`."""
    trace_limit: int = 100 * 1024 * 1024
    """The size in bytes above which a trace fails its job."""
    trace_storing: float = 0.0
    """Seconds during which the final job update is answered 202 (trace not archived yet)."""
    trace_update_interval: int = 3
    """Seconds between trace updates, sent as `X-GitLab-Trace-Update-Interval`."""


def update_settings(settings: Settings, values: Mapping[str, Any]) -> None:
    """Set settings by name. Raises ValueError for an unknown setting and for a version that is not modelled."""
    unknown = sorted(name for name in values if not hasattr(settings, name))
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(unknown)}")
    if "version" in values:
        versions.parse(str(values["version"]))
    for name, value in values.items():
        setattr(settings, name, value)
