# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values of config.toml: durations, and when GitLab Runner takes two values for the same."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import join, schema
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import identical

DURATION = re.compile(r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")
DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
YEAR_ONE = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)


def nanoseconds(duration: Any) -> int | None:
    """Go's reading of a duration: "1h30m", or an integer number of nanoseconds; None when it is neither.

    https://pkg.go.dev/time#ParseDuration
    """
    if isinstance(duration, int) and not isinstance(duration, bool):
        return duration
    if not isinstance(duration, str) or not DURATION.fullmatch(duration):
        return None
    total = 0
    for number, unit in DURATION_PART.findall(duration):
        whole, _point, fraction = number.partition(".")
        total += int(whole or 0) * NANOSECONDS[unit]
        total += int(fraction or 0) * NANOSECONDS[unit] // 10 ** len(fraction)
    return -total if duration.startswith("-") else total


def equivalent(path: str, present: Any, wanted: Any) -> bool:
    """Whether GitLab Runner reads ``present`` (None: the key is absent) at ``path`` as it would read ``wanted``."""
    if present is None:
        return _is_absent(path, wanted)
    return identical(_normal(path, present), _normal(path, wanted))


def _is_absent(path: str, value: Any) -> bool:
    """Whether GitLab Runner has this value for a key that is absent; a table that is there is never like none."""
    key = schema().find(path)
    if key is None or key.is_table or key.nullable:
        return False
    return not value or value == YEAR_ONE or (key.type == "duration" and nanoseconds(value) == 0)


def _normal(path: str, value: Any) -> Any:
    """One form for all values that are the same to GitLab Runner."""
    key = schema().find(path)
    if isinstance(value, Mapping):
        places = {name: join(path, name) for name in value}
        return {name: _normal(places[name], item) for name, item in value.items() if not _is_absent(places[name], item)}
    if key is None:
        return value
    if isinstance(value, list):
        return [_normal_item(path, key.type, item) for item in value]
    if key.type == "string_or_array":
        return [value]
    return _normal_item(path, key.type, value)


def _normal_item(path: str, kind: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _normal(path, value)
    if kind == "duration" and nanoseconds(value) is not None:
        return nanoseconds(value)
    if kind in ("float", "array<float>") and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind == "datetime" and isinstance(value, str):
        try:
            return datetime.datetime.fromisoformat(value)
        except ValueError:
            return value
    return value
