# SPDX-License-Identifier: GPL-3.0-or-later
"""What registration speaks of: the desired runner, the entry in config.toml, the state of both, and the key that joins
an entry with a runner in GitLab.

Secrets are kept out of every repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import Credential, Runner, RunnerScope
from ansible_collections.pifleet.ci.plugins.plugin_utils._tokens import CREATED_RUNNER_PREFIX

KEY_PREFIX = "pifleet.ci: "
"""What the line of a maintenance note starts with that holds our key."""


class AuthMethod(Enum):
    """The three ways to authenticate, named by the option that holds the credential."""

    API = "api_token"
    REGISTRATION = "registration_token"
    RUNNER = "token"


@dataclass(frozen=True)
class DesiredRunner:
    """One runner as the play declares it, validated (see _registration/options.py).

    `attributes` are GitLab's names and hold only what the play sets; `note` is the user's part of the maintenance
    note, None to leave it alone. `scope` is None unless an API token is used.
    """

    host: str
    name: str
    url: str
    key: str
    auth_method: AuthMethod
    credential: str = field(repr=False)
    scope: RunnerScope | None
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
    def is_created_runner(self) -> bool:
        """Whether the token's runner was created by API token or in the web page, not by a registration token."""
        return CREATED_RUNNER_PREFIX in self.token

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


class EntryStatus(Enum):
    """What the token in the file's entry of the desired name is worth."""

    MISSING = "there is no entry of that name, or it has no token"
    VALID = "GitLab accepts the token, and its runner carries our key (or is out of our sight)"
    UNMANAGED = "GitLab accepts the token, and its runner carries no key"
    REVOKED = "GitLab refuses the token, or its runner is gone"
    OTHER_HOST = "its runner carries the key of another host: this file was cloned, or the host renamed"
    OTHER_INSTANCE = "the entry is for another GitLab, which must not see or lose its token"
    FROM_ENVIRONMENT = "GitLab Runner takes the token or the address from its environment, which is not visible here"


@dataclass(frozen=True)
class ObservedState:
    """What the file and GitLab say of one desired runner.

    entry: the entry that `status` speaks of. duplicate_entries: further entries for the same runner.
    runner: the runner of the entry's token, None if it is not usable or not visible (no API token).
    duplicate_runners: runners with our key besides `runner`, () also when nobody had to search.
    foreign_runner: where the entry's token is another host's, that host's runner.
    supplied_credential: the play's own token, if GitLab accepts it and the file holds another one.
    verified_credential: the entry's token as GitLab verified it.
    abandoned_runners: the IDs of runners whose working tokens go with the duplicate entries, and which stay in GitLab.
    intent_is_ours: this run's own intent stands in the file. intent_expired: one stands there that no run can still be
    about (see _registration/intents.py).
    """

    system_id: str
    status: EntryStatus
    entry: Entry | None = None
    duplicate_entries: tuple[Entry, ...] = ()
    runner: Runner | None = None
    duplicate_runners: tuple[Runner, ...] = ()
    foreign_runner: Runner | None = None
    supplied_credential: Credential | None = None
    verified_credential: Credential | None = None
    abandoned_runners: tuple[int, ...] = ()
    system_id_seeded: bool = True
    intent_is_ours: bool = False
    intent_expired: bool = False


def key_of(note: str | None) -> str | None:
    """The key in a maintenance note, None if it has none. The last line that holds one counts."""
    keys = [line[len(KEY_PREFIX) :].strip() for line in (note or "").splitlines() if line.startswith(KEY_PREFIX)]
    return keys[-1] if keys else None


def users_part(note: str) -> str:
    """A maintenance note without our line; line ends as \\n, no blank ends."""
    return "\n".join(line.rstrip() for line in note.splitlines() if not line.startswith(KEY_PREFIX)).strip()


def with_key(note: str, key: str) -> str:
    """A maintenance note of the user's part and, on its last line, our key."""
    return "\n".join(part for part in (users_part(note), KEY_PREFIX + key) if part)


def attribute_changes(desired: DesiredRunner, runner: Runner) -> dict[str, Any]:
    """What a PUT has to change so that `runner` is as desired, in GitLab's names; {} if nothing. Tags are a set."""
    present = runner.note or ""
    note = present if desired.note is None else desired.note
    changes: dict[str, Any] = {}
    if runner.description != desired.description:
        changes["description"] = desired.description
    for attribute, value in desired.attributes.items():
        has = runner.attributes.get(attribute)
        same = set(value) == set(has or ()) if attribute == "tag_list" else (value or None) == (has or None)
        if not same:
            changes[attribute] = value or None if attribute == "maximum_timeout" else value
    if key_of(present) != desired.key or users_part(present) != users_part(note):
        changes["maintenance_note"] = with_key(note, desired.key)
    return changes


def initial_attributes(desired: DesiredRunner) -> dict[str, Any]:
    """What a runner is created with, without empty values: GitLab drops them there, they are its defaults."""
    given = {name: value for name, value in desired.attributes.items() if value or value is False}
    return given | {"description": desired.description, "maintenance_note": with_key(desired.note or "", desired.key)}
