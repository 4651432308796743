# SPDX-License-Identifier: GPL-3.0-or-later
"""Runners, their managers, and the validations of a runner's attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

RUNNER_TYPES = ("instance_type", "group_type", "project_type")
ACCESS_LEVELS = ("not_protected", "ref_protected")
EDITABLE_ATTRIBUTES = (
    "description",
    "paused",
    "tag_list",
    "run_untagged",
    "locked",
    "access_level",
    "maximum_timeout",
    "maintenance_note",
)
VERSION_FIELDS = ("version", "revision", "platform", "architecture", "executor")
LEGACY_SYSTEM_ID = "<legacy>"

# GitLab caches `contacted_at` and writes it to the database when the stored value is 40 to 55 minutes old (random).
# Replies show the cached time; status filters and the choice of the latest manager use the database.
PERSIST_INTERVAL = timedelta(minutes=45)


@dataclass
class Manager:
    """A runner manager: one GitLab Runner process that uses the runner's token, identified by its system id."""

    id: int
    system_id: str
    created_at: datetime
    contacted_at: datetime | None = None
    contacted_at_in_database: datetime | None = None
    ip_address: str | None = None
    version: str | None = None
    revision: str | None = None
    platform: str | None = None
    architecture: str | None = None
    executor: str | None = None
    cancel_gracefully: bool = False
    """The feature of running after_script of a canceled job; updated only when GitLab writes to the database."""

    def heartbeat(self, now: datetime, ip_address: str, info: Mapping[str, Any], *, contact: bool = True) -> None:
        """Update what `info` tells; `contact` is False for a `verify` that does not update `contacted_at`."""
        self.ip_address = ip_address
        for name in VERSION_FIELDS:
            if info.get(name):
                setattr(self, name, str(info[name]))
        persist = self.contacted_at_in_database is None or now - self.contacted_at_in_database >= PERSIST_INTERVAL
        if contact:
            self.contacted_at = now
            self.contacted_at_in_database = now if persist else self.contacted_at_in_database
        if persist:
            features = info.get("features")
            if isinstance(features, dict):
                self.cancel_gracefully = bool(features.get("cancel_gracefully"))


@dataclass
class Runner:
    id: int
    runner_type: str
    token: str = field(repr=False)
    created_at: datetime
    updated_at: datetime
    group_id: int | None = None
    project_ids: list[int] = field(default_factory=list)
    """In the order of assignment; the first that still exists is the owner project."""
    description: str | None = None
    maintenance_note: str | None = None
    paused: bool = False
    locked: bool = False
    run_untagged: bool = True
    tag_list: list[str] = field(default_factory=list)
    access_level: str = "not_protected"
    maximum_timeout: int | None = None
    created_by: int | None = None
    registered: bool = False
    """Created with a registration token instead of by a user."""
    finished: bool = False
    """GitLab's `creation_state`: False (started) until the first request for a job."""
    token_expires_at: datetime | None = None
    contacted_at: datetime | None = None
    contacted_at_in_database: datetime | None = None
    managers: dict[str, Manager] = field(default_factory=dict)

    def heartbeat(self, now: datetime) -> None:
        self.contacted_at = now
        if self.contacted_at_in_database is None or now - self.contacted_at_in_database >= PERSIST_INTERVAL:
            self.contacted_at_in_database = now

    @property
    def latest_manager(self) -> Manager | None:
        return max(
            self.managers.values(),
            key=lambda manager: manager.contacted_at_in_database or manager.created_at,
            default=None,
        )

    def token_expired(self, now: datetime) -> bool:
        return self.token_expires_at is not None and self.token_expires_at <= now


def assign_attributes(runner: Runner, values: Mapping[str, Any]) -> None:
    """Set attributes that passed `validation_errors`. Tags are deduplicated and sorted: GitLab does not keep order."""
    for name, value in values.items():
        setattr(runner, name, sorted(set(value)) if name == "tag_list" else value)


def validation_errors(values: Mapping[str, Any], *, tags_changed: bool = True) -> dict[str, list[str]]:
    """GitLab's validation errors, field -> messages; errors of the tags are under `tags_list`.

    The limit of 50 tags is checked only when the tags change.
    """
    model_errors: dict[str, list[str]] = {}
    for name in ("description", "maintenance_note"):
        if len(values.get(name) or "") > 1024:
            model_errors[name] = ["is too long (maximum is 1024 characters)"]
    timeout = values.get("maximum_timeout")
    if timeout is not None and timeout < 600:
        model_errors["maximum_timeout"] = ["needs to be at least 10 minutes"]
    tags = values.get("tag_list") or []
    if tags_changed and len(set(tags)) > 50:
        model_errors["tags_list"] = ["Too many tags specified. Please limit the number of tags to 50"]
    if not tags and values.get("run_untagged") is False:
        model_errors["tags_list"] = ["can not be empty when runner is not allowed to pick untagged jobs"]
    return model_errors


def full_messages(model_errors: Mapping[str, list[str]]) -> str:
    """The errors as one sentence (Rails: `errors.full_messages.to_sentence`)."""
    texts = [
        f"{name.replace('_', ' ').replace('.', ' ').capitalize()} {text}"
        for name, several in model_errors.items()
        for text in several
    ]
    if len(texts) < 3:
        return " and ".join(texts)
    return f"{', '.join(texts[:-1])}, and {texts[-1]}"
