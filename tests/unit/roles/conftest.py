# SPDX-License-Identifier: GPL-3.0-or-later
"""Of the cases of a table some are drawn for each run, because each is a play and takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from sizes import CASES, drawn


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("slow"):
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for table, cases in tables.items():
        chosen = drawn(range(len(cases)), CASES, f"cases of {table}")
        for number in set(range(len(cases))) - set(chosen):
            cases[number].add_marker(pytest.mark.skip(reason=f"not drawn; PIFLEET_CASES={CASES}"))
