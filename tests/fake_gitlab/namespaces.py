# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups, projects and who has which role in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Role(IntEnum):
    GUEST = 10
    REPORTER = 20
    DEVELOPER = 30
    MAINTAINER = 40
    OWNER = 50


@dataclass
class Group:
    id: int
    path: str
    parent_id: int | None = None
    members: dict[int, Role] = field(default_factory=dict)
    registration_token: str = field(default="", repr=False)
    allow_registration_tokens: bool = True
    allow_runner_registration: bool = True
    """Whether others than administrators may add runners in this group and below."""
    token_lifetime: float | None = None
    """Seconds after which the tokens of this group's and its subgroups' and projects' runners expire."""
    public: bool = False
    """Whether everybody may see it; its runners are still for members only."""


@dataclass
class Project:
    id: int
    path: str
    group_id: int | None = None
    members: dict[int, Role] = field(default_factory=dict)
    registration_token: str = field(default="", repr=False)
    allow_runner_registration: bool = True
    public: bool = False
