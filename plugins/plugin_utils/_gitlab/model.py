# SPDX-License-Identifier: GPL-3.0-or-later
"""What GitLab's runner API speaks of. Secrets are kept out of every repr."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

NOTE_LIMIT = DESCRIPTION_LIMIT = 1024
"""Characters: https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/models/ci/runner.rb"""

ATTRIBUTES = ("paused", "locked", "run_untagged", "access_level", "maximum_timeout", "tag_list")
"""What can be set of a runner, besides its description and its maintenance note."""

NO_SYSTEM_ID = "<legacy>"
"""The system ID that GitLab notes for a request without one, such as the reset with which a runner process rotates its
token. It stands for no machine."""


@dataclass(frozen=True)
class RunnerScope:
    """Where in GitLab a runner lives. `owner` is the group's or project's ID, None for the whole instance."""

    runner_type: str
    owner: int | None

    def __str__(self) -> str:
        kind = self.runner_type.removesuffix("_type")
        return "the instance" if self.owner is None else f"{kind} {self.owner}"


@dataclass(frozen=True)
class Manager:
    """A runner manager: one machine that runs a runner, as GitLab saw it last."""

    system_id: str
    online: bool
    ip_address: str
    contacted_at: str


@dataclass(frozen=True)
class Runner:
    """A runner in full. `managers` is None while nobody asked for them, or where GitLab does not show them.

    note: the maintenance note, None where it is null: the runner has none, or the API token's user may not see it.
    """

    id: int
    runner_type: str
    owners: frozenset[int]
    description: str
    note: str | None
    attributes: Mapping[str, Any]
    status: str = ""
    version: str = ""
    contacted_at: str = ""
    managers: tuple[Manager, ...] | None = None


@dataclass(frozen=True)
class ListedRunner:
    """A runner in a list. `note` is None where the API token's user may not see it, and "" where there is none.

    runner: the runner in full, where it had to be read to make the list.
    """

    id: int
    description: str
    note: str | None
    runner: Runner | None = None


@dataclass(frozen=True)
class Credential:
    """A runner authentication token as GitLab hands it out: once."""

    id: int
    token: str = field(repr=False)
    expires: str | None = None


def parse_time(text: str) -> datetime | None:
    """GitLab's ISO 8601 time, None for "" and for what is none. Times without a zone are UTC, as GitLab means them."""
    try:
        moment = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
