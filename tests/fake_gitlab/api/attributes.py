# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters for a runner's attributes, shared by creation, registration and update."""

from __future__ import annotations

from fake_gitlab.params import Param, boolean, integer, strings
from fake_gitlab.runners import ACCESS_LEVELS

ATTRIBUTES = (
    Param("description"),
    Param("paused", boolean),
    Param("tag_list", strings),
    Param("run_untagged", boolean),
    Param("locked", boolean),
    Param("access_level", values=ACCESS_LEVELS),
    Param("maximum_timeout", integer),
    Param("maintenance_note"),
)
ACTIVE = Param("active", boolean)
"""The deprecated negation of `paused`."""
