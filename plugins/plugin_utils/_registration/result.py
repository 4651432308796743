# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user gets to see of a run: the result and the diff. Never a token. Pure."""

from __future__ import annotations

from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import Outcome
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    NEVER,
    Credential,
    Entry,
    Runner,
    Wanted,
    Way,
    first_attributes,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import (
    Action,
    Create,
    Delete,
    Held,
    RemoveEntries,
    ResetToken,
    Seen,
    Update,
    WriteEntry,
)

NEW = "(new)"
"""Stands for the id that GitLab has yet to give, in check mode and in the diff."""


def result(wanted: Wanted, outcome: Outcome) -> dict[str, Any]:
    """The values that gitlab_runner_register returns; its documentation describes them."""
    seen, plan = outcome.first
    return {
        "changed": bool(outcome.actions),
        "actions": outcome.actions,
        "runner": _runner(wanted, outcome) if wanted.present else {},
        "system_id": seen.system_id,
        "diff": diff(wanted, seen, plan),
    }


def diff(wanted: Wanted, seen: Seen, plan: list[Action]) -> dict[str, Any]:
    """Before and after, foretold from the plan: the same in check mode and in a run."""
    entry, runner = seen.entry, seen.runner
    before: dict[str, Any] = {"config.toml": _entry(entry), "GitLab": _shown(runner), "duplicates": _ids(seen)}
    after = dict(before)
    for action in plan:
        if isinstance(action, WriteEntry):
            after["config.toml"] = {
                "name": wanted.name,
                "url": wanted.url,
                "id": _future_id(plan, action),
                "token": _future_token(entry, action),
            }
        elif isinstance(action, RemoveEntries):
            after["config.toml"] = None
        elif isinstance(action, Create):
            after["GitLab"] = {"id": NEW, **first_attributes(wanted)}
        elif isinstance(action, ResetToken):
            after["GitLab"] = _shown(action.runner)
            after["duplicates"] = [number for number in after["duplicates"] if number != action.runner.id]
        elif isinstance(action, Update):
            after["GitLab"] = {**(after["GitLab"] or {}), **action.changes}
        elif isinstance(action, Delete):
            after["duplicates"] = [number for number in after["duplicates"] if number != action.runner.id]
            after["GitLab"] = None if after["GitLab"] == _shown(action.runner) else after["GitLab"]
    title = f"{wanted.key} at {wanted.url}"
    return {"before": before, "after": after, "before_header": title, "after_header": title}


def left_behind(wanted: Wanted, seen: Seen) -> list[str]:
    """What stays in GitLab although this host has no use for it any more, for a person to judge."""
    if seen.stranger and wanted.present:
        return [
            f"The token in the file belongs to runner {seen.stranger.id} ({seen.stranger.key}), which is left alone: "
            "this card was cloned, or the host was renamed; in that case delete that runner."
        ]
    if not wanted.present and seen.held is Held.UNMARKED and seen.runner:
        return [f"Runner {seen.runner.id} stays in GitLab: it was not registered by this collection."]
    if wanted.way is Way.REGISTRATION and not wanted.present and seen.entry and seen.working and seen.entry.ready_made:
        return [f"Runner {seen.working.id} stays in GitLab: it was not made with a registration token."]
    if wanted.way is Way.REGISTRATION and wanted.present and seen.held is Held.REFUSED:
        return [
            "GitLab refuses the token in the file; if its runner is still there it stays, for without api_token it "
            "cannot be found."
        ]
    return []


def _runner(wanted: Wanted, outcome: Outcome) -> dict[str, Any]:
    runner, working = outcome.runner, outcome.working
    shown = _shown(runner) or {"id": working.id if working else None}
    if runner is None and wanted.place:
        shown |= {"runner_type": wanted.place.runner_type, **first_attributes(wanted)}
    return {
        **shown,
        "name": wanted.name,
        "status": runner.status if runner else None,
        "version": (runner.version if runner else None) or None,
        "contacted_at": (runner.contacted_at if runner else None) or None,
        "token_expires_at": _expiry(working),
        "verified_at": outcome.verified_at.isoformat() if outcome.verified_at and working else None,
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
        "maintenance_note": runner.note,
    }


def _entry(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"name": entry.name, "url": entry.url, "id": entry.id, "token": "(as it is)" if entry.token else "(none)"}


def _ids(seen: Seen) -> list[int]:
    return [runner.id for runner in seen.others]


def _future_id(plan: list[Action], write: WriteEntry) -> int | str:
    if write.credential:
        return write.credential.id
    return next((action.runner.id for action in plan if isinstance(action, ResetToken)), NEW)


def _future_token(entry: Entry | None, write: WriteEntry) -> str:
    same = entry is not None and write.credential is not None and entry.token == write.credential.token
    return "(as it is)" if same else "(another one)"


def _expiry(working: Credential | None) -> str | None:
    return working.expires if working and working.expires not in (None, NEVER) else None
