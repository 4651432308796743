# SPDX-License-Identifier: GPL-3.0-or-later
"""What registration speaks of: a wanted runner, an entry in config.toml, a runner in GitLab, the key that joins them.

Secrets are kept out of every repr.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

KEY_MARK = "pifleet.ci: "
"""What the line of a maintenance note starts with that holds our key."""

NOTE_LIMIT = DESCRIPTION_LIMIT = 1024

READY_MADE = "glrt-"
"""What tells a runner authentication token from one that a registration token brought (glrtr-, or no prefix)."""

NEVER = "0001-01-01T00:00:00Z"
"""What GitLab Runner writes for a token that does not expire."""


class Way(Enum):
    """The three ways in, named by the option that holds the credential."""

    API = "api_token"
    REGISTRATION = "registration_token"
    READY = "token"


@dataclass(frozen=True)
class Place:
    """Where in GitLab a runner lives. `owner` is the group's or project's id, None for the whole instance."""

    runner_type: str
    owner: int | None

    def __str__(self) -> str:
        kind = self.runner_type.removesuffix("_type")
        return "the instance" if self.owner is None else f"{kind} {self.owner}"


@dataclass(frozen=True)
class Wanted:
    """One runner as the play declares it, checked (see _registration/options.py).

    `attributes` are GitLab's names and hold only what the play sets; `note` is the user's part of the maintenance
    note, None to leave it alone. `place` is None unless an API token is used.
    """

    host: str
    name: str
    url: str
    key: str
    way: Way
    credential: str = field(repr=False)
    place: Place | None
    description: str
    attributes: Mapping[str, Any]
    note: str | None = None
    present: bool = True
    takeover: bool = False
    adopt_existing_entry: bool = True

    def __str__(self) -> str:
        return f'runner "{self.name}" of {self.host}'


@dataclass(frozen=True)
class Entry:
    """A [[runners]] entry, `index` counts from 0 in the file's order. `id` 0 and `token` "" mean that it has none."""

    index: int
    name: str
    url: str
    id: int
    token: str = field(repr=False)

    @property
    def ready_made(self) -> bool:
        """Whether the token's runner was made with an API token or in the web page, not with a registration token.

        https://docs.gitlab.com/security/tokens/#token-prefixes; an instance may put a prefix of its own in front.
        """
        return READY_MADE in self.token

    @property
    def from_environment(self) -> bool:
        """Whether GitLab Runner (18.10 and newer) takes the token or the url from its environment.

        https://gitlab.com/gitlab-org/gitlab-runner/-/blob/v19.3.0/common/config.go (os.ExpandEnv)
        """
        return "$" in self.token or "$" in self.url

    @classmethod
    def of(cls, index: int, table: Mapping[str, Any]) -> Entry:
        """Read an entry leniently: a value of the wrong type counts as absent (runner_config refuses such files)."""

        def get(key: str, kind: type) -> Any:
            value = table.get(key)
            return value if isinstance(value, kind) and not isinstance(value, bool) else kind()

        return cls(index, get("name", str), get("url", str).rstrip("/"), get("id", int), get("token", str))


@dataclass(frozen=True)
class Manager:
    """One machine that runs a runner, as GitLab saw it last."""

    system_id: str
    online: bool
    ip_address: str
    contacted_at: str


@dataclass(frozen=True)
class Runner:
    """A runner in GitLab. `managers` is None while nobody asked for them, or where GitLab does not show them.

    note_shown is False where the note is null: the runner has none, or the API token's user may not see it.
    """

    id: int
    runner_type: str
    owners: frozenset[int]
    description: str
    note: str
    attributes: Mapping[str, Any]
    status: str = ""
    version: str = ""
    contacted_at: str = ""
    managers: tuple[Manager, ...] | None = None
    note_shown: bool = True

    @property
    def key(self) -> str | None:
        return key_of(self.note)


@dataclass(frozen=True)
class Credential:
    """A runner authentication token as GitLab hands it out: once."""

    id: int
    token: str = field(repr=False)
    expires: str | None = None


ATTRIBUTES = ("paused", "locked", "run_untagged", "access_level", "maximum_timeout", "tag_list")


def key_of(note: str) -> str | None:
    """The key in a maintenance note, None if it has none. The last line that holds one counts."""
    keys = [line[len(KEY_MARK) :].strip() for line in note.splitlines() if line.startswith(KEY_MARK)]
    return keys[-1] if keys else None


def users_part(note: str) -> str:
    """A maintenance note without our line; line ends as \\n, no blank ends."""
    return "\n".join(line.rstrip() for line in note.splitlines() if not line.startswith(KEY_MARK)).strip()


def with_key(note: str, key: str) -> str:
    """A maintenance note of the user's part and, on its last line, our key."""
    return "\n".join(part for part in (users_part(note), KEY_MARK + key) if part)


def instant(text: str) -> datetime | None:
    """GitLab's ISO 8601 time, None for "" and for what is none. Times without a zone are UTC, as GitLab means them."""
    try:
        moment = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def drift(wanted: Wanted, runner: Runner) -> dict[str, Any]:
    """What a PUT has to change so that `runner` is as wanted, in GitLab's names; {} if nothing. Tags are a set."""
    note = runner.note if wanted.note is None else wanted.note
    changes: dict[str, Any] = {}
    if runner.description != wanted.description:
        changes["description"] = wanted.description
    for attribute, value in wanted.attributes.items():
        has = runner.attributes.get(attribute)
        same = set(value) == set(has or ()) if attribute == "tag_list" else (value or None) == (has or None)
        if not same:
            changes[attribute] = value or None if attribute == "maximum_timeout" else value
    if runner.key != wanted.key or users_part(runner.note) != users_part(note):
        changes["maintenance_note"] = with_key(note, wanted.key)
    return changes


def first_attributes(wanted: Wanted) -> dict[str, Any]:
    """What a new runner is created with, without empty values: GitLab drops them there, they are its defaults."""
    given = {name: value for name, value in wanted.attributes.items() if value or value is False}
    return given | {"description": wanted.description, "maintenance_note": with_key(wanted.note or "", wanted.key)}
