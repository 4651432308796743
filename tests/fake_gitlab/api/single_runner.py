# SPDX-License-Identifier: GPL-3.0-or-later
"""One runner by its id: read, update, delete, reset its token, list its managers and jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fake_gitlab import refusals, views
from fake_gitlab.access import Caller, authenticate
from fake_gitlab.api.attributes import ACTIVE, ATTRIBUTES
from fake_gitlab.exchange import Call, Endpoint, Refusal, Reply
from fake_gitlab.orphans import owner_problems, require_owner
from fake_gitlab.params import Param, boolean, integer, read
from fake_gitlab.preconditions import require_unmodified
from fake_gitlab.runners import EDITABLE, Runner, problems
from fake_gitlab.state import FakeGitLab

_CAN_BE_EMPTY = ("description", "maintenance_note", "maximum_timeout")


def show(gitlab: FakeGitLab, call: Call) -> Reply:
    caller, asked, runner = enter(gitlab, call, [Param("include_projects", boolean)])
    require(caller.may_read(runner))
    return Reply(200, views.runner_details(caller, runner, include_projects=asked.get("include_projects") is not False))


def update(gitlab: FakeGitLab, call: Call) -> Reply:
    """Only what is sent changes; a list of tags replaces the old one, and may be empty."""
    editable = [name for name in EDITABLE if name != "maintenance_note" or gitlab.has("maintenance_note_in_rest")]
    caller, wanted, runner = enter(
        gitlab,
        call,
        [ACTIVE, *(param for param in ATTRIBUTES if param.name in editable)],
        exclusive=[("active", "paused")],
        at_least_one=[editable[0], "active", *editable[1:]],
    )
    require(caller.may_update(runner))
    wanted = {name: value for name, value in wanted.items() if value is not None or name in _CAN_BE_EMPTY}
    if "active" in wanted:
        wanted["paused"] = not wanted.pop("active")
    tags_changed = set(wanted.get("tag_list", runner.tag_list)) != set(runner.tag_list)
    found = problems(
        {"tag_list": runner.tag_list, "run_untagged": runner.run_untagged, **wanted}, tags_changed=tags_changed
    ) | owner_problems(gitlab, runner)
    if found:
        raise refusals.invalid_model(found)
    gitlab.edit_runner(runner.id, **wanted)
    return Reply(200, views.runner_details(caller, runner))


def delete(gitlab: FakeGitLab, call: Call) -> Reply:
    caller, _, runner = enter(gitlab, call)
    if not caller.is_admin and len(runner.project_ids) > 1:
        raise refusals.forbidden("Runner associated with more than one project")
    require(caller.may_update(runner))
    require_unmodified(call, runner.updated_at)
    gitlab.delete_runner(runner.id)
    return Reply(204)


def managers(gitlab: FakeGitLab, call: Call) -> Reply:
    caller, _, runner = enter(gitlab, call)
    require(caller.may_read(runner))
    return Reply(200, [views.manager(gitlab, runner, manager) for manager in runner.managers.values()])


def reset_token(gitlab: FakeGitLab, call: Call) -> Reply:
    caller, _, runner = enter(gitlab, call)
    require(caller.may_update(runner))
    require_owner(gitlab, runner)
    token = gitlab.reset_runner_token(runner.id)
    return Reply(201, views.fresh_token(token, runner.token_expires_at))


def enter(
    gitlab: FakeGitLab, call: Call, declared: Sequence[Param] = (), **rules: Sequence[Any]
) -> tuple[Caller, dict[str, Any], Runner]:
    """Let the caller in, read the parameters, find the runner: the order in which GitLab refuses."""
    caller = authenticate(gitlab, call)
    given = read(call.params, [Param("id", integer, required=True), *declared], **rules)
    runner = gitlab.runners.get(given["id"])
    call.about(given.pop("id"))
    if runner is None:
        raise unknown_runner(gitlab)
    return caller, given, runner


def unknown_runner(gitlab: FakeGitLab) -> Refusal:
    return refusals.not_found("Runner") if gitlab.has("runner_named_when_not_found") else refusals.record_not_found()


def require(permitted: bool) -> None:
    if not permitted:
        raise refusals.forbidden("No access granted")


ENDPOINTS = (
    Endpoint("GET", "/runners/{id}", show, "user"),
    Endpoint("PUT", "/runners/{id}", update, "user"),
    Endpoint("DELETE", "/runners/{id}", delete, "user"),
    Endpoint("GET", "/runners/{id}/managers", managers, "user", needs="managers_route"),
    Endpoint("POST", "/runners/{id}/reset_authentication_token", reset_token, "user"),
)
