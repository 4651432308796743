# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from registration_fixtures import pi, server, world

__all__ = ["pi", "server", "world"]
