# SPDX-License-Identifier: GPL-3.0-or-later
"""The two things registration works on, as it needs them: one file on a host, and GitLab.

The plugin gives it the real ones (_remote_file.py, _gitlab/client.py); the property tests drive the same code with a
file in memory and the same GitLab client, and let both fail at every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    Credential,
    Manager,
    Place,
    Runner,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile


class FilePort(Protocol):
    """A host's config.toml. What changes it raises HostFileConflict if it is not the one that was seen any more."""

    def read(self) -> HostFile: ...

    def replace(self, seen: HostFile, content: str) -> HostFile: ...

    def remove(self, seen: HostFile) -> HostFile:
        """Take the file back, and the directories and the system ID that `replace` made with it."""


class GitLabPort(Protocol):
    """GitLab's runner API. Every method raises GitLabError for whatever is not a clear answer."""

    def clock(self) -> datetime:
        """The server's time, reckoned from its last answer; this machine's time if there was none."""

    def runner(self, runner_id: int) -> Runner | None:
        """The runner, None if GitLab says that there is none."""

    def verify(self, token: str, system_id: str) -> Credential | None:
        """Say that `system_id` lives; whose token it is, None if GitLab refuses it. A heartbeat of that machine."""

    def runners_with_key(self, place: Place, key: str, description: str) -> tuple[Runner, ...]:
        """All runners of the place whose maintenance note carries the key, by id.

        Raises NoteNotVisible where one of that description may be it, and UnsupportedVersion.
        """

    def managers(self, runner_id: int) -> tuple[Manager, ...] | None:
        """The machines that run it; None if this version of GitLab does not say (before 17.5 or so)."""

    def create(self, place: Place, attributes: Mapping[str, Any]) -> Credential:
        """Create a runner. Raises OutcomeUnknown if GitLab may have created one nevertheless."""

    def register(self, registration_token: str, attributes: Mapping[str, Any]) -> Credential:
        """Create a runner with a registration token. Raises as create."""

    def reset_token(self, runner_id: int) -> Credential:
        """Replace the runner's token; the old one ends at once."""

    def update(self, runner_id: int, changes: Mapping[str, Any]) -> Runner:
        """Change attributes."""

    def delete(self, runner_id: int) -> None:
        """Delete a runner; one that is gone already is fine."""

    def delete_by_token(self, token: str) -> None:
        """Delete the runner that a token stands for; a token that GitLab does not know is fine."""

    def delete_manager(self, token: str, system_id: str) -> None:
        """Remove one machine from the runner that a token stands for; one that is gone already is fine."""
