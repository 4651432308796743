# SPDX-License-Identifier: GPL-3.0-or-later
"""What a runner's own token can do: verify, rotate, unregister. A user's token is worth nothing here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fake_gitlab import refusals, views
from fake_gitlab.exchange import Call, Endpoint, Reply
from fake_gitlab.orphans import refuse_manager_of_orphan, refuse_orphan, require_owner
from fake_gitlab.params import Param, mapping, read
from fake_gitlab.preconditions import require_unmodified
from fake_gitlab.runners import LEGACY_SYSTEM_ID, Runner
from fake_gitlab.state import FakeGitLab

TOKEN = Param("token", required=True)


def runner_of(gitlab: FakeGitLab, call: Call, token: object) -> Runner:
    """The runner that holds this token; 403 when there is none or its token has expired, see also `orphans.py`."""
    runner = gitlab.runner_by_token(str(token or ""))
    if runner is None:
        raise refusals.forbidden()
    call.about(runner.id)
    refuse_orphan(gitlab, runner)
    return runner


def verify(gitlab: FakeGitLab, call: Call) -> Reply:
    """Not a mere question: it makes a manager of the system id that is sent (or not sent), and counts as contact."""
    given = read(call.params, [TOKEN, Param("system_id"), Param("info", mapping)])
    runner = runner_of(gitlab, call, given["token"])
    contact = runner.registered or gitlab.has("verify_is_contact_for_created_runners")
    _touch(gitlab, call, runner, given, contact=contact)
    return Reply(200, views.registration(runner))


def reset_token(gitlab: FakeGitLab, call: Call) -> Reply:
    """Contact as well; and since GitLab Runner sends no system id here, its rotation of a token makes a ghost."""
    given = read(call.params, [TOKEN, Param("system_id"), Param("info", mapping)])
    runner = runner_of(gitlab, call, given["token"])
    _touch(gitlab, call, runner, given)
    require_owner(gitlab, runner)
    token = gitlab.reset_runner_token(runner.id)
    return Reply(201, views.fresh_token(token, runner.token_expires_at))


def unregister(gitlab: FakeGitLab, call: Call) -> Reply:
    """The whole runner goes, with all its managers."""
    given = read(call.params, [TOKEN])
    runner = runner_of(gitlab, call, given["token"])
    require_unmodified(call, runner.updated_at)
    gitlab.delete_runner(runner.id)
    return Reply(204)


def unregister_manager(gitlab: FakeGitLab, call: Call) -> Reply:
    given = read(call.params, [TOKEN, Param("system_id", required=True)])
    runner = runner_of(gitlab, call, given["token"])
    manager = runner.managers.get(given["system_id"])
    if manager is None:
        raise refusals.not_found("Runner manager not found")
    require_unmodified(call, manager.contacted_at or manager.created_at)
    del runner.managers[manager.system_id]
    if not runner.managers and not gitlab.has("last_manager_leaves_contact"):
        runner.contacted_at = runner.stored_contact = None
    return Reply(204)


def discover_router(gitlab: FakeGitLab, call: Call) -> Reply:
    """The one endpoint of this family that reads a header. This instance has no job router."""
    runner_of(gitlab, call, call.headers.get("runner-token"))
    return Reply(501, {"message": "Job Router is not available. Please contact your administrator."})


def _touch(gitlab: FakeGitLab, call: Call, runner: Runner, given: Mapping[str, Any], *, contact: bool = True) -> None:
    refuse_manager_of_orphan(gitlab, runner)
    system_id, info = given.get("system_id") or LEGACY_SYSTEM_ID, given.get("info") or {}
    gitlab.heartbeat(runner, system_id, call.client, info, contact=contact)


ENDPOINTS = (
    Endpoint("POST", "/runners/verify", verify, "runner"),
    Endpoint("POST", "/runners/reset_authentication_token", reset_token, "runner"),
    Endpoint("DELETE", "/runners/managers", unregister_manager, "runner"),
    Endpoint("DELETE", "/runners", unregister, "runner"),
    Endpoint("GET", "/runners/router/discovery", discover_router, "runner"),
)
