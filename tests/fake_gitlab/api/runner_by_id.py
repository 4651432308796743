# SPDX-License-Identifier: GPL-3.0-or-later
"""`/runners/:id`: read, update, delete, reset the token, list the managers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fake_gitlab import entities, errors
from fake_gitlab.access import Caller, authenticate
from fake_gitlab.api.attributes import ACTIVE, ATTRIBUTES
from fake_gitlab.endpoint import APIError, Call, Endpoint, Reply
from fake_gitlab.orphans import owner_errors, require_valid_owner
from fake_gitlab.params import Param, boolean, integer, read_params
from fake_gitlab.preconditions import check_unmodified_since
from fake_gitlab.runners import EDITABLE_ATTRIBUTES, Runner, validation_errors
from fake_gitlab.state import FakeGitLab

_NULLABLE = ("description", "maintenance_note", "maximum_timeout")


def show(gitlab: FakeGitLab, call: Call) -> Reply:
    caller, params, runner = authenticate_and_find_runner(gitlab, call, [Param("include_projects", boolean)])
    require_permission(caller.may_read(runner))
    return Reply(
        200, entities.ci_runner_details(caller, runner, include_projects=params.get("include_projects") is not False)
    )


def update(gitlab: FakeGitLab, call: Call) -> Reply:
    """Change the attributes that are sent; `tag_list` replaces all tags and may be empty."""
    editable = [
        name for name in EDITABLE_ATTRIBUTES if name != "maintenance_note" or gitlab.has("maintenance_note_in_rest")
    ]
    caller, attributes, runner = authenticate_and_find_runner(
        gitlab,
        call,
        [ACTIVE, *(param for param in ATTRIBUTES if param.name in editable)],
        exclusive=[("active", "paused")],
        at_least_one=[editable[0], "active", *editable[1:]],
    )
    require_permission(caller.may_update(runner))
    attributes = {name: value for name, value in attributes.items() if value is not None or name in _NULLABLE}
    if "active" in attributes:
        attributes["paused"] = not attributes.pop("active")
    tags_changed = set(attributes.get("tag_list", runner.tag_list)) != set(runner.tag_list)
    model_errors = validation_errors(
        {"tag_list": runner.tag_list, "run_untagged": runner.run_untagged, **attributes}, tags_changed=tags_changed
    ) | owner_errors(gitlab, runner)
    if model_errors:
        raise errors.record_invalid(model_errors)
    gitlab.edit_runner(runner.id, **attributes)
    return Reply(200, entities.ci_runner_details(caller, runner))


def delete(gitlab: FakeGitLab, call: Call) -> Reply:
    caller, _, runner = authenticate_and_find_runner(gitlab, call)
    if not caller.is_admin and len(runner.project_ids) > 1:
        raise errors.forbidden("Runner associated with more than one project")
    require_permission(caller.may_update(runner))
    check_unmodified_since(call, runner.updated_at)
    gitlab.delete_runner(runner.id)
    return Reply(204)


def list_managers(gitlab: FakeGitLab, call: Call) -> Reply:
    caller, _, runner = authenticate_and_find_runner(gitlab, call)
    require_permission(caller.may_read(runner))
    return Reply(200, [entities.ci_runner_manager(gitlab, runner, manager) for manager in runner.managers.values()])


def reset_token(gitlab: FakeGitLab, call: Call) -> Reply:
    caller, _, runner = authenticate_and_find_runner(gitlab, call)
    require_permission(caller.may_update(runner))
    require_valid_owner(gitlab, runner)
    token = gitlab.reset_runner_token(runner.id)
    return Reply(201, entities.ci_reset_token_result(token, runner.token_expires_at))


def authenticate_and_find_runner(
    gitlab: FakeGitLab, call: Call, declared: Sequence[Param] = (), **rules: Sequence[Any]
) -> tuple[Caller, dict[str, Any], Runner]:
    """Authenticate the caller, validate the parameters, find the runner.

    Raises APIError 401 or 403, 400, 404: in the order of GitLab's checks.
    """
    caller = authenticate(gitlab, call)
    params = read_params(call.params, [Param("id", integer, required=True), *declared], **rules)
    runner = gitlab.runners.get(params["id"])
    call.runner_id = params.pop("id")
    if runner is None:
        raise runner_not_found(gitlab)
    return caller, params, runner


def runner_not_found(gitlab: FakeGitLab) -> APIError:
    return errors.not_found("Runner") if gitlab.has("runner_named_when_not_found") else errors.record_not_found()


def require_permission(permitted: bool) -> None:
    if not permitted:
        raise errors.forbidden("No access granted")


ENDPOINTS = (
    Endpoint("GET", "/runners/{id}", show, "user"),
    Endpoint("PUT", "/runners/{id}", update, "user"),
    Endpoint("DELETE", "/runners/{id}", delete, "user"),
    Endpoint("GET", "/runners/{id}/managers", list_managers, "user", needs="managers_route"),
    Endpoint("POST", "/runners/{id}/reset_authentication_token", reset_token, "user"),
)
