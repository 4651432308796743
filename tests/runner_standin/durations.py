# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as Go writes them: https://pkg.go.dev/time#ParseDuration"""

from __future__ import annotations

import re

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"[+-]?(?:{_PART.pattern})+")


def seconds(value: str | int) -> float:
    """Return a duration in seconds; an integer counts nanoseconds. Raises ValueError for any other spelling."""
    if isinstance(value, int):
        return value * 1e-9
    if value in ("0", "+0", "-0"):
        return 0.0
    if not _WHOLE.fullmatch(value):
        raise ValueError(f"{value!r} is not a duration such as 1h30m or 90s")
    sign = -1 if value.startswith("-") else 1
    return sign * sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))
