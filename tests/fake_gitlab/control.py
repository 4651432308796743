# SPDX-License-Identifier: GPL-3.0-or-later
"""Strings to pull for tests in other processes: JSON below `/_fake`, without authentication, journal or faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from fake_gitlab.clock import iso
from fake_gitlab.exchange import Call, Endpoint, Refusal, Reply
from fake_gitlab.faults import REPLIES, Fault
from fake_gitlab.jobs import Job
from fake_gitlab.namespaces import Project
from fake_gitlab.runners import EDITABLE, Manager, Runner
from fake_gitlab.seed import change_settings
from fake_gitlab.state import FakeGitLab
from fake_gitlab.status import manager_status, page_status, rest_status

_JOB_OPTIONS = {"after_script", "image", "services", "tag_list", "variables", "timeout", "protected", "only_runner_id"}


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
    return Reply(200, _job(_found(gitlab.jobs, call)))


def queue_job(gitlab: FakeGitLab, call: Call) -> Reply:
    """`script` (lines), and as wanted `name`, `project_id` (else the first project) and further fields of a job."""
    wanted = dict(call.params)
    project = _project(gitlab, wanted.pop("project_id", None))
    script, name = wanted.pop("script", None), wanted.pop("name", "job")
    if not isinstance(script, list) or not set(wanted) <= _JOB_OPTIONS:
        raise _refusal(f"wanted: script (a list), name, project_id, {', '.join(sorted(_JOB_OPTIONS))}")
    return Reply(201, _job(gitlab.add_job(project, script, name=name, **wanted)))


def cancel_job(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(200, _job(gitlab.cancel_job(_found(gitlab.jobs, call).id)))


def list_runners(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(200, [_runner(gitlab, runner) for runner in gitlab.runners.values()])


def show_runner(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(200, _runner(gitlab, _found(gitlab.runners, call)))


def create_runner(gitlab: FakeGitLab, call: Call) -> Reply:
    """With its token, as the web page shows it once. `group_id` or `project_id` say whose it is."""
    wanted = dict(call.params)
    runner_type, group_id, project_id = (wanted.pop(name, None) for name in ("runner_type", "group_id", "project_id"))
    owner = gitlab.find_group(group_id) if group_id else gitlab.find_project(project_id) if project_id else None
    if not set(wanted) <= set(EDITABLE):
        raise _refusal(f"wanted: runner_type, group_id or project_id, {', '.join(EDITABLE)}")
    runner = gitlab.create_runner(str(runner_type), owner=owner, **wanted)
    return Reply(201, {**_runner(gitlab, runner), "token": runner.token})


def edit_runner(gitlab: FakeGitLab, call: Call) -> Reply:
    runner = _found(gitlab.runners, call)
    wanted = {name: value for name, value in call.params.items() if name != "id"}
    if not set(wanted) <= set(EDITABLE):
        raise _refusal(f"wanted: {', '.join(EDITABLE)}")
    return Reply(200, _runner(gitlab, gitlab.edit_runner(runner.id, **wanted)))


def delete_runner(gitlab: FakeGitLab, call: Call) -> Reply:
    gitlab.delete_runner(_found(gitlab.runners, call).id)
    return Reply(204)


def reset_runner_token(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(201, {"token": gitlab.reset_runner_token(_found(gitlab.runners, call).id)})


def duplicate_runner(gitlab: FakeGitLab, call: Call) -> Reply:
    return Reply(201, _runner(gitlab, gitlab.duplicate_runner(_found(gitlab.runners, call).id)))


def whose_token(gitlab: FakeGitLab, call: Call) -> Reply:
    """Which runner's valid token `token` is, without the contact that `verify` would be."""
    runner = gitlab.runner_by_token(str(call.params.get("token", "")))
    return Reply(200, {"runner_id": runner.id if runner else None})


def read_journal(gitlab: FakeGitLab, call: Call) -> Reply:
    """All entries, or with `?writes=1` only those that changed something."""
    entries = gitlab.journal.writes() if call.params.get("writes") else gitlab.journal
    return Reply(200, [{**asdict(entry), "at": iso(entry.at), "is_write": entry.is_write} for entry in entries])


def clear_journal(gitlab: FakeGitLab, call: Call) -> Reply:
    gitlab.journal.clear()
    return Reply(204)


def set_fault(gitlab: FakeGitLab, call: Call) -> Reply:
    """The fields of `Fault`; `reply` is a name, or an object with status, body and headers."""
    wanted = dict(call.params)
    if isinstance(wanted.get("reply"), dict):
        wanted["reply"] = Reply(**wanted["reply"])
    elif wanted.get("reply") not in (None, *REPLIES):
        raise _refusal(f"reply is none of {', '.join(REPLIES)}")
    settable = {field.name for field in fields(Fault) if field.init}
    if not set(wanted) <= settable:
        raise _refusal(f"wanted: {', '.join(sorted(settable))}")
    gitlab.faults.add(Fault(**wanted))
    return Reply(201, {"faults": len(gitlab.faults)})


def clear_faults(gitlab: FakeGitLab, call: Call) -> Reply:
    gitlab.faults.clear()
    return Reply(204)


def edit_settings(gitlab: FakeGitLab, call: Call) -> Reply:
    change_settings(gitlab.settings, call.params)
    return Reply(200, _without_secrets(asdict(gitlab.settings)))


def move_clock(gitlab: FakeGitLab, call: Call) -> Reply:
    """`advance`, in seconds."""
    gitlab.clock.advance(float(call.params.get("advance", 0)))
    return Reply(200, {"now": iso(gitlab.clock.now())})


def _runner(gitlab: FakeGitLab, runner: Runner) -> dict[str, Any]:
    now = gitlab.clock.now()
    shown = _without_secrets(asdict(runner))
    shown["managers"] = [
        _manager(manager) | {"status": manager_status(manager, now)} for manager in runner.managers.values()
    ]
    return shown | {"status": rest_status(runner, now), "page_status": page_status(runner, now)}


def _manager(manager: Manager) -> dict[str, Any]:
    return _without_secrets(asdict(manager))


def _job(job: Job) -> dict[str, Any]:
    shown = _without_secrets(asdict(job))
    return shown | {"trace": job.log}


def _without_secrets(shown: dict[str, Any]) -> dict[str, Any]:
    """Plain JSON of a record, without the fields that hold tokens."""
    return {
        name: iso(value) if hasattr(value, "astimezone") else value
        for name, value in shown.items()
        if name not in ("token", "registration_token")
    }


def _found(things: Mapping[int, Any], call: Call) -> Any:
    thing = things.get(int(call.params["id"]))
    if thing is None:
        raise Refusal(Reply(404, {"error": f"there is no number {call.params['id']}"}))
    return thing


def _project(gitlab: FakeGitLab, reference: object) -> Project:
    project = next(iter(gitlab.projects.values()), None) if reference is None else gitlab.find_project(reference)
    if project is None:
        raise _refusal("there is no such project")
    return project


def _refusal(text: str) -> Refusal:
    return Refusal(Reply(400, {"error": text}))


ENDPOINTS = tuple(
    Endpoint(method, path, handler, "control")
    for method, path, handler in (
        ("GET", "/state", state),
        ("PATCH", "/settings", edit_settings),
        ("POST", "/clock", move_clock),
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
