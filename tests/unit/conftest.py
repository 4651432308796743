# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests without a lab. Of the files with the most plays `make test` draws some, `make soak` runs all."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawing import leave_out
from sizes import PLAY_SECONDS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    leave_out(ours, PLAY_SECONDS, "files with many plays", "PIFLEET_PLAY_SECONDS")
