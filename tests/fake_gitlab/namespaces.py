# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups and projects with their members."""

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
    """Whether non-administrators may add runners in this group and its descendants."""
    token_lifetime: float | None = None
    """Seconds until the tokens of runners in this group and its descendants expire; None: never."""
    public: bool = False
    """Public visibility. Its runners stay visible to members only."""


@dataclass
class Project:
    id: int
    path: str
    group_id: int | None = None
    members: dict[int, Role] = field(default_factory=dict)
    registration_token: str = field(default="", repr=False)
    allow_runner_registration: bool = True
    public: bool = False
