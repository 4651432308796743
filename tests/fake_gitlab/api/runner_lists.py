# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of runners, and the assignment of project runners to further projects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fake_gitlab import entities, errors
from fake_gitlab.access import Caller, authenticate
from fake_gitlab.api.runner_by_id import require_permission, runner_not_found
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.namespaces import Group, Project, Role
from fake_gitlab.pagination import paginate
from fake_gitlab.params import Param, boolean, integer, read_params, strings
from fake_gitlab.preconditions import check_unmodified_since
from fake_gitlab.runner_limits import limit_errors
from fake_gitlab.runners import RUNNER_TYPES, Runner, full_messages
from fake_gitlab.state import FakeGitLab
from fake_gitlab.status import matches_status

_STATUSES = ("active", "paused", "online", "offline", "never_contacted", "stale")
_SCOPES = ("specific", "shared", *_STATUSES)
_FILTERS = (
    Param("type", values=RUNNER_TYPES),
    Param("paused", boolean),
    Param("status", values=_STATUSES),
    Param("tag_list", strings),
    Param("version_prefix"),
)


def list_owned(gitlab: FakeGitLab, call: Call) -> Reply:
    """The runners that the caller owns; never instance runners."""
    caller = authenticate(gitlab, call)
    owned = (
        runner for runner in gitlab.runners.values() if runner.runner_type != "instance_type" and _owns(caller, runner)
    )
    return _list(gitlab, call, owned, scopes=_STATUSES)


def list_all(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    if not (caller.is_admin or caller.user.auditor):
        raise errors.forbidden()
    return _list(gitlab, call, gitlab.runners.values(), scopes=_SCOPES)


def list_of_project(gitlab: FakeGitLab, call: Call) -> Reply:
    """The project's runners, those of its ancestor groups, and the instance runners."""
    _, project = _project(gitlab, call)
    return _list(gitlab, call, gitlab.available_runners(project), scopes=_SCOPES)


def list_of_group(gitlab: FakeGitLab, call: Call) -> Reply:
    """The group's runners, those of its ancestor groups, and the instance runners; none of its descendants."""
    caller = authenticate(gitlab, call)
    group = gitlab.find_group(call.params["id"])
    if group is None or not caller.may_see(group):
        raise errors.not_found("Group")
    if not caller.may_list_runners_of(group):
        raise errors.forbidden()
    return _list(gitlab, call, gitlab.available_runners(group), scopes=())


def assign_to_project(gitlab: FakeGitLab, call: Call) -> Reply:
    """Not idempotent: assigning a runner twice is a 400."""
    caller, project = _project(gitlab, call)
    runner = _runner(gitlab, call)
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
    caller, project = _project(gitlab, call)
    params = read_params(call.params, [Param("runner_id", integer, required=True)])
    call.runner_id = params["runner_id"]
    runner = gitlab.runners.get(params["runner_id"])
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


def _project(gitlab: FakeGitLab, call: Call) -> tuple[Caller, Project]:
    caller = authenticate(gitlab, call)
    project = gitlab.find_project(call.params["id"])
    if project is None or not caller.may_see(project):
        raise errors.not_found("Project")
    if not caller.may_list_runners_of(project):
        raise errors.forbidden()
    return caller, project


def _runner(gitlab: FakeGitLab, call: Call) -> Runner:
    params = read_params(call.params, [Param("runner_id", integer, required=True)])
    call.runner_id = params["runner_id"]
    runner = gitlab.runners.get(params["runner_id"])
    if runner is None:
        raise runner_not_found(gitlab)
    return runner


def _owns(caller: Caller, runner: Runner) -> bool:
    owners: list[Group | Project] = [*caller.gitlab.owning_groups(runner)]
    if runner.runner_type == "group_type":
        return any(caller.role_in(group) >= Role.OWNER for group in owners)
    projects = [caller.gitlab.projects[id_] for id_ in runner.project_ids if id_ in caller.gitlab.projects]
    return any(caller.role_in(project) >= Role.MAINTAINER for project in projects)


def _list(gitlab: FakeGitLab, call: Call, runners: Iterable[Runner], *, scopes: tuple[str, ...]) -> Reply:
    params = read_params(call.params, [*_FILTERS, *([Param("scope", values=_SCOPES)] if scopes else [])])
    prefix = params.get("version_prefix")
    if prefix is not None and not re.match(r"[\d+.]+", prefix):
        raise errors.validation_error(["version_prefix is invalid"])
    if params.get("scope") and params["scope"] not in scopes:
        raise errors.invalid_scope()
    chosen = sorted(
        (runner for runner in runners if _matches_filters(gitlab, runner, params)), key=lambda runner: runner.id
    )
    return paginate(call, chosen, lambda runner: entities.ci_runner(gitlab, runner))


def _matches_filters(gitlab: FakeGitLab, runner: Runner, params: dict[str, Any]) -> bool:
    now = gitlab.clock.now()
    type_, status, scope = params.get("type"), params.get("status"), params.get("scope")
    return (
        (not type_ or runner.runner_type == type_)
        and (not status or matches_status(runner, status, now))
        and (not scope or _in_scope(gitlab, runner, scope))
        and (params.get("paused") is None or runner.paused == params["paused"])
        and set(params.get("tag_list") or ()) <= set(runner.tag_list)
        and _has_version(runner, params.get("version_prefix"))
    )


def _in_scope(gitlab: FakeGitLab, runner: Runner, scope: str) -> bool:
    if scope in ("specific", "shared"):
        return (runner.runner_type == "instance_type") == (scope == "shared")
    return matches_status(runner, scope, gitlab.clock.now())


def _has_version(runner: Runner, prefix: str | None) -> bool:
    """Whether a manager's version starts with the components of `prefix`: `1` and `1.` match 1.x, not 10 to 19."""
    if not prefix:
        return True
    components = prefix.rstrip(".").split(".")
    return any(
        manager.version is not None and manager.version.split(".")[: len(components)] == components
        for manager in runner.managers.values()
    )


ENDPOINTS = (
    Endpoint("GET", "/runners", list_owned, "user"),
    Endpoint("GET", "/runners/all", list_all, "user"),
    Endpoint("GET", "/projects/{id:path}/runners", list_of_project, "user"),
    Endpoint("POST", "/projects/{id:path}/runners", assign_to_project, "user"),
    Endpoint("DELETE", "/projects/{id:path}/runners/{runner_id}", unassign_from_project, "user"),
    Endpoint("GET", "/groups/{id:path}/runners", list_of_group, "user"),
)
