# SPDX-License-Identifier: GPL-3.0-or-later
"""The soak tests use the unit tests' world."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "registration"))

from registration_fixtures import aged_world, pi, server, world  # noqa: F401 - fixtures
