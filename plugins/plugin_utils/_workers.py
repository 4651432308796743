# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control node's workers share with the process that forks them, one for each task of each host (ADR 33)."""

from __future__ import annotations

import gc


def share_objects_with_workers() -> None:
    """Keep the garbage collection of the workers away from what exists now.

    Each of them would go through all objects of ansible-playbook, and copy the memory in which these are, for a
    process that lives for one task. Frozen objects are still freed when nothing refers to them any more; only cycles
    of them are not found again, so those are collected before.
    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
