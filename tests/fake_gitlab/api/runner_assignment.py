# SPDX-License-Identifier: GPL-3.0-or-later
"""Assigning project runners to further projects, and unassigning them."""

from __future__ import annotations

from fake_gitlab import entities, errors
from fake_gitlab.api.runner_by_id import require_permission, runner_not_found
from fake_gitlab.api.runner_lists import authenticate_in_project
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.params import Param, integer, read_params
from fake_gitlab.preconditions import check_unmodified_since
from fake_gitlab.runner_limits import limit_errors
from fake_gitlab.runners import Runner, full_messages
from fake_gitlab.state import FakeGitLab


def assign_to_project(gitlab: FakeGitLab, call: Call) -> Reply:
    """Not idempotent: assigning a runner twice is a 400."""
    caller, project = authenticate_in_project(gitlab, call)
    runner = _requested_runner(gitlab, call)
    if runner is None:
        raise runner_not_found(gitlab)
    if runner.runner_type == "group_type":
        raise errors.forbidden("Runner is a group runner")
    if runner.runner_type == "instance_type" and caller.is_admin:
        raise errors.internal_server_error()
    if runner.locked and not caller.is_admin:
        raise errors.forbidden("Runner is locked")
    require_permission(caller.may_update(runner))
    model_errors = limit_errors(gitlab, project)
    if project.id in runner.project_ids:
        model_errors = {"runner_projects": ["is invalid"]}
    if model_errors:
        raise errors.bad_request(f"Assign to Validation failed: {full_messages(model_errors)}", reason="runner_error")
    runner.project_ids.append(project.id)
    return Reply(201, entities.ci_runner(gitlab, runner))


def unassign_from_project(gitlab: FakeGitLab, call: Call) -> Reply:
    caller, project = authenticate_in_project(gitlab, call)
    runner = _requested_runner(gitlab, call)
    if runner is None or project.id not in runner.project_ids:
        raise errors.not_found("Runner")
    check_unmodified_since(call, runner.updated_at)
    if runner.locked and not caller.is_admin:
        raise errors.forbidden("Runner is locked")
    if not gitlab.has("runner_stays_in_its_owner_project"):
        if len(runner.project_ids) == 1:
            raise errors.forbidden("Only one project associated with the runner. Please remove the runner instead")
    elif project is gitlab.owner(runner):
        raise errors.forbidden("You cannot unassign a runner from the owner project. Delete the runner instead")
    runner.project_ids.remove(project.id)
    return Reply(204)


def _requested_runner(gitlab: FakeGitLab, call: Call) -> Runner | None:
    runner_id = read_params(call.params, [Param("runner_id", integer, required=True)])["runner_id"]
    call.runner_id = runner_id
    return gitlab.runners.get(runner_id)


ENDPOINTS = (
    Endpoint("POST", "/projects/{id:path}/runners", assign_to_project, "user"),
    Endpoint("DELETE", "/projects/{id:path}/runners/{runner_id}", unassign_from_project, "user"),
)
