# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from registration_fixtures import home, pi, server, world

__all__ = ["home", "pi", "server", "world"]
