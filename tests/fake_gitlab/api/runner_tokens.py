# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints that take a runner's authentication token: verify, reset, unregister."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fake_gitlab import entities, errors
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.orphans import forbid_orphaned_runner, reject_manager_of_orphaned_runner, require_valid_owner
from fake_gitlab.params import Param, mapping, read_params
from fake_gitlab.preconditions import check_unmodified_since
from fake_gitlab.runners import LEGACY_SYSTEM_ID, Runner
from fake_gitlab.state import FakeGitLab

TOKEN = Param("token", required=True)


def authenticate_runner(gitlab: FakeGitLab, call: Call, token: object) -> Runner:
    """The runner with this token. Raises APIError 403 for an unknown or expired token, and see `orphans.py`."""
    runner = gitlab.runner_by_token(str(token or ""))
    if runner is None:
        raise errors.forbidden()
    call.runner_id = runner.id
    forbid_orphaned_runner(gitlab, runner)
    return runner


def verify(gitlab: FakeGitLab, call: Call) -> Reply:
    """Validate the token. Side effects: a heartbeat of the runner, and of the manager, which is created if missing."""
    params = read_params(call.params, [TOKEN, Param("system_id"), Param("info", mapping)])
    runner = authenticate_runner(gitlab, call, params["token"])
    contact = runner.registered or gitlab.has("verify_is_contact_for_created_runners")
    _heartbeat(gitlab, call, runner, params, contact=contact)
    return Reply(200, entities.ci_runner_registration_details(runner))


def reset_token(gitlab: FakeGitLab, call: Call) -> Reply:
    """Reset the token. GitLab Runner sends no system id here, so a rotation creates the manager LEGACY_SYSTEM_ID."""
    params = read_params(call.params, [TOKEN, Param("system_id"), Param("info", mapping)])
    runner = authenticate_runner(gitlab, call, params["token"])
    _heartbeat(gitlab, call, runner, params)
    require_valid_owner(gitlab, runner)
    token = gitlab.reset_runner_token(runner.id)
    return Reply(201, entities.ci_reset_token_result(token, runner.token_expires_at))


def unregister(gitlab: FakeGitLab, call: Call) -> Reply:
    """Delete the runner with all its managers."""
    params = read_params(call.params, [TOKEN])
    runner = authenticate_runner(gitlab, call, params["token"])
    check_unmodified_since(call, runner.updated_at)
    gitlab.delete_runner(runner.id)
    return Reply(204)


def unregister_manager(gitlab: FakeGitLab, call: Call) -> Reply:
    params = read_params(call.params, [TOKEN, Param("system_id", required=True)])
    runner = authenticate_runner(gitlab, call, params["token"])
    manager = runner.managers.get(params["system_id"])
    if manager is None:
        raise errors.not_found("Runner manager not found")
    check_unmodified_since(call, manager.contacted_at or manager.created_at)
    del runner.managers[manager.system_id]
    if not runner.managers and not gitlab.has("last_manager_leaves_contact"):
        runner.contacted_at = runner.contacted_at_in_database = None
    return Reply(204)


def discover_router(gitlab: FakeGitLab, call: Call) -> Reply:
    """501: there is no job router. The only endpoint here that takes the token from a header."""
    authenticate_runner(gitlab, call, call.headers.get("runner-token"))
    return Reply(501, {"message": "Job Router is not available. Please contact your administrator."})


def _heartbeat(
    gitlab: FakeGitLab, call: Call, runner: Runner, params: Mapping[str, Any], *, contact: bool = True
) -> None:
    reject_manager_of_orphaned_runner(gitlab, runner)
    system_id, info = params.get("system_id") or LEGACY_SYSTEM_ID, params.get("info") or {}
    gitlab.heartbeat(runner, system_id, call.client, info, contact=contact)


ENDPOINTS = (
    Endpoint("POST", "/runners/verify", verify, "runner"),
    Endpoint("POST", "/runners/reset_authentication_token", reset_token, "runner"),
    Endpoint("DELETE", "/runners/managers", unregister_manager, "runner"),
    Endpoint("DELETE", "/runners", unregister, "runner"),
    Endpoint("GET", "/runners/router/discovery", discover_router, "runner"),
)
