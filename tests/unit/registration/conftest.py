# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from registration_fixtures import aged_world, pi, server, world

__all__ = ["aged_world", "pi", "server", "world"]
