# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user gets to see of a run: the result and the diff. Never a token. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import Credential, Runner
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import NEVER_EXPIRES, Outcome
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    AuthMethod,
    DesiredRunner,
    Entry,
    EntryStatus,
    ObservedState,
    initial_attributes,
    key_of,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import (
    CreateRunner,
    DeleteRunner,
    RemoveEntries,
    ResetToken,
    Step,
    UpdateRunner,
    WriteEntry,
)

NEW = "(new)"
"""Stands for the id that GitLab has yet to give, in check mode and in the diff."""


def result(desired: DesiredRunner, outcome: Outcome) -> dict[str, Any]:
    """The values that gitlab_runner_register returns; its documentation describes them."""
    return {
        "changed": bool(outcome.actions),
        "actions": outcome.actions,
        "runner": _runner(desired, outcome) if desired.present else {},
        "system_id": outcome.observed.system_id,
        "diff": diff(desired, outcome.observed, outcome.planned),
    }


def combined(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The values that gitlab_runner_register returns for all runners of a task, from those of each."""
    runners = [each["runner"] for each in results]
    if len(results) == 1:
        return {**results[0], "runners": runners}
    reply: dict[str, Any] = {
        "changed": any(each["changed"] for each in results),
        "actions": [action for each in results for action in each["actions"]],
        "runners": runners,
        "diff": [each["diff"] for each in results],
    }
    return reply | ({"system_id": results[-1]["system_id"]} if results else {})


def diff(desired: DesiredRunner, observed: ObservedState, steps: list[Step]) -> dict[str, Any]:
    """Before and after, foretold from the plan: the same in check mode and in a run."""
    entry, runner = observed.entry, observed.runner
    before: dict[str, Any] = {"config.toml": _entry(entry), "GitLab": _shown(runner), "duplicates": _ids(observed)}
    after = dict(before)
    for step in steps:
        if isinstance(step, WriteEntry):
            after["config.toml"] = {
                "name": desired.name,
                "url": desired.url,
                "id": _future_id(steps, step),
                "token": _future_token(entry, step),
            }
        elif isinstance(step, RemoveEntries):
            after["config.toml"] = None
        elif isinstance(step, CreateRunner):
            after["GitLab"] = {"id": NEW, **initial_attributes(desired)}
        elif isinstance(step, ResetToken):
            after["GitLab"] = _shown(step.runner)
            after["duplicates"] = [number for number in after["duplicates"] if number != step.runner.id]
        elif isinstance(step, UpdateRunner):
            after["GitLab"] = {**(after["GitLab"] or {}), **step.changes}
        elif isinstance(step, DeleteRunner):
            after["duplicates"] = [number for number in after["duplicates"] if number != step.runner.id]
            after["GitLab"] = None if after["GitLab"] == _shown(step.runner) else after["GitLab"]
    title = f"{desired.key} at {desired.url}"
    return {"before": before, "after": after, "before_header": title, "after_header": title}


def left_behind(desired: DesiredRunner, observed: ObservedState) -> list[str]:
    """What stays in GitLab although this host has no use for it any more, for a person to judge."""
    abandoned = [
        f"Runner {number} stays in GitLab without an entry: the file had more than one of this name, and one is kept."
        for number in observed.abandoned_runners
    ]
    return abandoned + _left_behind_of_entry(desired, observed)


def _left_behind_of_entry(desired: DesiredRunner, observed: ObservedState) -> list[str]:
    """What the entry that counts leaves behind."""
    status, foreign, credential = observed.status, observed.foreign_runner, observed.verified_credential
    by_registration = desired.auth_method is AuthMethod.REGISTRATION
    if foreign and desired.present:
        return [
            f"The token in the file belongs to runner {foreign.id} ({key_of(foreign.note)}), which is left alone: "
            "this card was cloned, or the host was renamed; in that case delete that runner."
        ]
    if not desired.present and status is EntryStatus.UNMANAGED and observed.runner:
        return [f"Runner {observed.runner.id} stays in GitLab: it was not registered by this collection."]
    if by_registration and not desired.present and observed.entry and credential and observed.entry.is_created_runner:
        return [f"Runner {credential.id} stays in GitLab: it was not made with a registration token."]
    if by_registration and desired.present and status is EntryStatus.REVOKED:
        return [
            "GitLab refuses the token in the file; if its runner is still there it stays, for without api_token it "
            "cannot be found."
        ]
    return []


def _runner(desired: DesiredRunner, outcome: Outcome) -> dict[str, Any]:
    runner, credential = outcome.runner, outcome.credential
    shown = _shown(runner) or {"id": credential.id if credential else None}
    if runner is None and desired.scope:
        shown |= {"runner_type": desired.scope.runner_type, **initial_attributes(desired)}
    return {
        **shown,
        "name": desired.name,
        "status": runner.status if runner else None,
        "version": (runner.version if runner else None) or None,
        "contacted_at": (runner.contacted_at if runner else None) or None,
        "token_expires_at": _expiry(credential),
        "verified_at": outcome.verified_at.isoformat() if outcome.verified_at and credential else None,
    }


def _shown(runner: Runner | None) -> dict[str, Any] | None:
    if runner is None:
        return None
    return {
        "id": runner.id,
        "runner_type": runner.runner_type,
        "description": runner.description,
        **runner.attributes,
        "tag_list": sorted(runner.attributes.get("tag_list") or []),
        "maintenance_note": runner.note or "",
    }


def _entry(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"name": entry.name, "url": entry.url, "id": entry.id, "token": "(as it is)" if entry.token else "(none)"}


def _ids(observed: ObservedState) -> list[int]:
    return [runner.id for runner in observed.duplicate_runners]


def _future_id(steps: list[Step], write: WriteEntry) -> int | str:
    if write.credential:
        return write.credential.id
    return next((step.runner.id for step in steps if isinstance(step, ResetToken)), NEW)


def _future_token(entry: Entry | None, write: WriteEntry) -> str:
    same = entry is not None and write.credential is not None and entry.token == write.credential.token
    return "(as it is)" if same else "(another one)"


def _expiry(credential: Credential | None) -> str | None:
    return credential.expires if credential and credential.expires not in (None, NEVER_EXPIRES) else None
