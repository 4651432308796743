# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory limits of jobs, which Docker Engine accepts and ignores where the kernel has no memory controller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MEMORY_KEYS = (
    "memory",
    "memory_swap",
    "memory_reservation",
    "service_memory",
    "service_memory_swap",
    "service_memory_reservation",
)
"""Keys of ``[runners.docker]``."""


def memory_limits(runners: Sequence[dict[str, Any]]) -> list[str]:
    """Such as ``docker.memory of arm64``, for the runners whose jobs run on the engine of the host itself."""
    return [
        f"docker.{key} of {runner.get('name')}"
        for runner in runners
        if runner.get("executor", "docker") == "docker"
        for key in MEMORY_KEYS
        if (runner.get("docker") or {}).get(key)
    ]
