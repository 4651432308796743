# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control node's workers share with the process that forks them, one for each task of each host (ADR 33)."""

from __future__ import annotations

import gc

from ansible.plugins.loader import filter_loader, lookup_loader, test_loader
from ansible.utils.collection_loader import AnsibleCollectionConfig


def share_objects_with_workers() -> None:
    """Load the plugins of templates now, and keep the garbage collection of the workers away from what exists then.

    Ansible loads all filters of a collection when the first one is used, in each worker anew. And each worker would go
    through all objects of ansible-playbook, and copy the memory in which these are, for a process that lives for one
    task. Frozen objects are still freed when nothing refers to them any more; only cycles of them are not found again,
    so those are collected before. https://docs.python.org/3/library/gc.html#gc.freeze
    """
    if AnsibleCollectionConfig.collection_finder:  # without it, as in unit tests, Ansible finds no collection
        filter_loader.get("pifleet.ci.batches")
        test_loader.get("ansible.builtin.version")
        lookup_loader.get("ansible.builtin.vars", class_only=True)
    gc.collect()
    gc.freeze()
