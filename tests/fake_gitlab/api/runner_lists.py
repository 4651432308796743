# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of runners: the caller's own, all, a project's, a group's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fake_gitlab import entities, errors
from fake_gitlab.access import Caller, authenticate
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.namespaces import Project
from fake_gitlab.pagination import paginate
from fake_gitlab.params import Param, boolean, read_params, strings
from fake_gitlab.runners import RUNNER_TYPES, Runner
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
    owned = (runner for runner in gitlab.runners.values() if caller.owns(runner))
    return _list(gitlab, call, owned, scopes=_STATUSES)


def list_all(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    if not (caller.is_admin or caller.user.auditor):
        raise errors.forbidden()
    return _list(gitlab, call, gitlab.runners.values(), scopes=_SCOPES)


def list_of_project(gitlab: FakeGitLab, call: Call) -> Reply:
    """The project's runners, those of its ancestor groups, and the instance runners."""
    _, project = authenticate_in_project(gitlab, call)
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


def authenticate_in_project(gitlab: FakeGitLab, call: Call) -> tuple[Caller, Project]:
    """Authenticate the caller and find the project. Raises APIError 404 if it is invisible, 403 for a role too low."""
    caller = authenticate(gitlab, call)
    project = gitlab.find_project(call.params["id"])
    if project is None or not caller.may_see(project):
        raise errors.not_found("Project")
    if not caller.may_list_runners_of(project):
        raise errors.forbidden()
    return caller, project


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
    Endpoint("GET", "/groups/{id:path}/runners", list_of_group, "user"),
)
