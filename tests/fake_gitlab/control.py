# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API for tests in other processes: JSON below `/_fake`, unauthenticated, outside journal and faults.

Errors are 400 or 404 with `{"error": ...}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from fake_gitlab.clock import iso
from fake_gitlab.endpoint import APIError, Call, Endpoint, Reply
from fake_gitlab.faults import REPLIES, Fault
from fake_gitlab.jobs import Job
from fake_gitlab.namespaces import Project
from fake_gitlab.runners import EDITABLE_ATTRIBUTES, Manager, Runner
from fake_gitlab.settings import update_settings
from fake_gitlab.state import FakeGitLab
from fake_gitlab.status import deprecated_rest_status, manager_status, page_status

_JOB_OPTIONS = {
    "after_script",
    "cache",
    "image",
    "only_runner_id",
    "protected",
    "services",
    "sha",
    "tag_list",
    "timeout",
    "variables",
}


def state(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(
        200,
        {
            "now": iso(gitlab.clock.now()),
            "settings": _without_secrets(asdict(gitlab.settings)),
            "users": [asdict(user) for user in gitlab.users.values()],
            "groups": [_without_secrets(asdict(group)) for group in gitlab.groups.values()],
            "projects": [_without_secrets(asdict(project)) for project in gitlab.projects.values()],
            "runners": [_runner(gitlab, runner) for runner in gitlab.runners.values()],
            "jobs": [_job(job) for job in gitlab.jobs.values()],
        },
    )


def list_jobs(gitlab: FakeGitLab, call: Call) -> Reply:
    """All jobs, or with `?status=pending` those that have the status."""
    status = call.params.get("status")
    return Reply(200, [_job(job) for job in gitlab.jobs.values() if status in (None, job.status)])


def show_job(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(200, _job(_find(gitlab.jobs, call)))


def queue_job(gitlab: FakeGitLab, call: Call) -> Reply:
    """`script` is a list of lines. Optional: `name`, `project_id` (default: the first project), and `_JOB_OPTIONS`."""
    attributes = dict(call.params)
    project = _project(gitlab, attributes.pop("project_id", None))
    script, name = attributes.pop("script", None), attributes.pop("name", "job")
    if not isinstance(script, list) or not set(attributes) <= _JOB_OPTIONS:
        raise _bad_request(f"allowed: script (a list), name, project_id, {', '.join(sorted(_JOB_OPTIONS))}")
    return Reply(201, _job(gitlab.add_job(project, script, name=name, **attributes)))


def cancel_job(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(200, _job(gitlab.cancel_job(_find(gitlab.jobs, call).id)))


def list_runners(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(200, [_runner(gitlab, runner) for runner in gitlab.runners.values()])


def show_runner(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(200, _runner(gitlab, _find(gitlab.runners, call)))


def create_runner(gitlab: FakeGitLab, call: Call) -> Reply:
    """Replies with the token, which the web page shows once. `group_id` or `project_id` names the owner."""
    attributes = dict(call.params)
    runner_type, group_id, project_id = (
        attributes.pop(name, None) for name in ("runner_type", "group_id", "project_id")
    )
    owner = gitlab.find_group(group_id) if group_id else gitlab.find_project(project_id) if project_id else None
    if not set(attributes) <= set(EDITABLE_ATTRIBUTES):
        raise _bad_request(f"allowed: runner_type, group_id or project_id, {', '.join(EDITABLE_ATTRIBUTES)}")
    runner = gitlab.create_runner(str(runner_type), owner=owner, **attributes)
    return Reply(201, {**_runner(gitlab, runner), "token": runner.token})


def edit_runner(gitlab: FakeGitLab, call: Call) -> Reply:
    runner = _find(gitlab.runners, call)
    attributes = {name: value for name, value in call.params.items() if name != "id"}
    if not set(attributes) <= set(EDITABLE_ATTRIBUTES):
        raise _bad_request(f"allowed: {', '.join(EDITABLE_ATTRIBUTES)}")
    return Reply(200, _runner(gitlab, gitlab.edit_runner(runner.id, **attributes)))


def delete_runner(gitlab: FakeGitLab, call: Call) -> Reply:
    gitlab.delete_runner(_find(gitlab.runners, call).id)
    return Reply(204)


def reset_runner_token(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(201, {"token": gitlab.reset_runner_token(_find(gitlab.runners, call).id)})


def duplicate_runner(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(201, _runner(gitlab, gitlab.duplicate_runner(_find(gitlab.runners, call).id)))


def whose_token(gitlab: FakeGitLab, call: Call) -> Reply:
    """The id of the runner whose valid token `token` is; unlike `verify` this is no contact."""
    runner = gitlab.runner_by_token(str(call.params.get("token", "")))
    return Reply(200, {"runner_id": runner.id if runner else None})


def read_journal(gitlab: FakeGitLab, call: Call) -> Reply:
    """All entries, or with `?writes=1` only `Journal.writes`."""
    entries = gitlab.journal.writes() if call.params.get("writes") else gitlab.journal
    return Reply(200, [{**asdict(entry), "at": iso(entry.at), "is_write": entry.is_write} for entry in entries])


def clear_journal(gitlab: FakeGitLab, call: Call) -> Reply:
    gitlab.journal.clear()
    return Reply(204)


def set_fault(gitlab: FakeGitLab, call: Call) -> Reply:
    """The fields of `Fault`; `reply` is a name, or an object with status, body and headers."""
    attributes = dict(call.params)
    if isinstance(attributes.get("reply"), dict):
        attributes["reply"] = Reply(**attributes["reply"])
    elif attributes.get("reply") not in (None, *REPLIES):
        raise _bad_request(f"reply must be one of {', '.join(REPLIES)}")
    settable = {field.name for field in fields(Fault) if field.init}
    if not set(attributes) <= settable:
        raise _bad_request(f"allowed: {', '.join(sorted(settable))}")
    gitlab.faults.add(Fault(**attributes))
    return Reply(201, {"faults": len(gitlab.faults)})


def clear_faults(gitlab: FakeGitLab, call: Call) -> Reply:
    gitlab.faults.clear()
    return Reply(204)


def edit_settings(gitlab: FakeGitLab, call: Call) -> Reply:
    update_settings(gitlab.settings, call.params)
    return Reply(200, _without_secrets(asdict(gitlab.settings)))


def advance_clock(gitlab: FakeGitLab, call: Call) -> Reply:
    """`advance` in seconds."""
    gitlab.clock.advance(float(call.params.get("advance", 0)))
    return Reply(200, {"now": iso(gitlab.clock.now())})


def _runner(gitlab: FakeGitLab, runner: Runner) -> dict[str, Any]:
    now = gitlab.clock.now()
    data = _without_secrets(asdict(runner))
    data["managers"] = [
        _manager(manager) | {"status": manager_status(manager, now)} for manager in runner.managers.values()
    ]
    return data | {"status": deprecated_rest_status(runner, now), "page_status": page_status(runner, now)}


def _manager(manager: Manager) -> dict[str, Any]:
    return _without_secrets(asdict(manager))


def _job(job: Job) -> dict[str, Any]:
    data = _without_secrets(asdict(job))
    return data | {"trace": job.log}


def _without_secrets(data: dict[str, Any]) -> dict[str, Any]:
    """A dataclass as JSON data, without the fields that hold tokens."""
    return {
        name: iso(value) if hasattr(value, "astimezone") else value
        for name, value in data.items()
        if name not in ("token", "registration_token")
    }


def _find(records: Mapping[int, Any], call: Call) -> Any:
    record = records.get(int(call.params["id"]))
    if record is None:
        raise APIError(Reply(404, {"error": f"no record with id {call.params['id']}"}))
    return record


def _project(gitlab: FakeGitLab, reference: object) -> Project:
    project = next(iter(gitlab.projects.values()), None) if reference is None else gitlab.find_project(reference)
    if project is None:
        raise _bad_request("project not found")
    return project


def _bad_request(text: str) -> APIError:
    return APIError(Reply(400, {"error": text}))


ENDPOINTS = tuple(
    Endpoint(method, path, handler, "control")
    for method, path, handler in (
        ("GET", "/state", state),
        ("PATCH", "/settings", edit_settings),
        ("POST", "/clock", advance_clock),
        ("GET", "/jobs", list_jobs),
        ("POST", "/jobs", queue_job),
        ("GET", "/jobs/{id:int}", show_job),
        ("POST", "/jobs/{id:int}/cancel", cancel_job),
        ("GET", "/runners", list_runners),
        ("POST", "/runners", create_runner),
        ("GET", "/runners/{id:int}", show_runner),
        ("PATCH", "/runners/{id:int}", edit_runner),
        ("DELETE", "/runners/{id:int}", delete_runner),
        ("POST", "/runners/{id:int}/reset_token", reset_runner_token),
        ("POST", "/runners/{id:int}/duplicate", duplicate_runner),
        ("POST", "/whose_token", whose_token),
        ("GET", "/journal", read_journal),
        ("DELETE", "/journal", clear_journal),
        ("POST", "/faults", set_fault),
        ("DELETE", "/faults", clear_faults),
    )
)
