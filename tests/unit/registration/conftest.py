# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from registration_fixtures import (
    aged_world,
    clusters,
    home,
    namespaces,
    pi,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    server,
    world,
)

__all__ = [
    "aged_world",
    "clusters",
    "home",
    "namespaces",
    "pi",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "server",
    "world",
]
