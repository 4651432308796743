# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON of the REST API, one function per entity of GitLab's `lib/api/entities`.

A runner's token appears only in the replies to its creation, `verify` and a reset.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fake_gitlab.access import Caller
from fake_gitlab.clock import iso
from fake_gitlab.jobs import RUNNING, Job
from fake_gitlab.namespaces import Group, Project
from fake_gitlab.runners import Manager, Runner
from fake_gitlab.state import FakeGitLab
from fake_gitlab.status import deprecated_rest_status, is_online, manager_status


def ci_runner_registration_details(runner: Runner) -> dict[str, Any]:
    return {"id": runner.id, "token": runner.token, "token_expires_at": iso(runner.token_expires_at)}


def registration_token(token: str) -> dict[str, Any]:
    """`Entities::Ci::ResetTokenResult` without `token_expires_at`: registration tokens do not expire."""
    return {"token": token}


def ci_reset_token_result(token: str, expires_at: datetime | None) -> dict[str, Any]:
    return {"token": token, "token_expires_at": iso(expires_at)}


def ci_runner(gitlab: FakeGitLab, runner: Runner) -> dict[str, Any]:
    """A runner in a list: without tags, note, version and time of contact, which only `ci_runner_details` has."""
    now = gitlab.clock.now()
    creator = gitlab.users.get(runner.created_by or 0)
    return {
        "id": runner.id,
        "description": runner.description,
        "ip_address": None,
        "active": not runner.paused,
        "paused": runner.paused,
        "is_shared": runner.runner_type == "instance_type",
        "runner_type": runner.runner_type,
        "name": None,
        "online": is_online(runner.contacted_at, now),
        "created_by": {"id": creator.id, "username": creator.username} if creator else None,
        "created_at": iso(runner.created_at),
        "status": deprecated_rest_status(runner, now),
        "job_execution_status": _job_execution_status(gitlab, runner),
    }


def _job_execution_status(gitlab: FakeGitLab, runner: Runner, system_id: str | None = None) -> str:
    busy = ("running",) if gitlab.has("canceling_is_idle_in_rest") else RUNNING
    return "active" if gitlab.is_busy(runner, system_id, busy) else "idle"


def ci_runner_details(caller: Caller, runner: Runner, *, include_projects: bool = True) -> dict[str, Any]:
    gitlab, latest = caller.gitlab, runner.latest_manager
    details = {
        **ci_runner(gitlab, runner),
        "tag_list": list(runner.tag_list),
        "run_untagged": runner.run_untagged,
        "locked": runner.locked,
        "maximum_timeout": runner.maximum_timeout,
        "access_level": runner.access_level,
        "version": latest and latest.version,
        "revision": latest and latest.revision,
        "platform": latest and latest.platform,
        "architecture": latest and latest.architecture,
        "contacted_at": iso(runner.contacted_at),
        "maintenance_note": runner.maintenance_note if caller.may_read_maintenance_note(runner) else None,
    }
    if not gitlab.has("maintenance_note_in_rest"):
        del details["maintenance_note"]
    if include_projects:
        projects = [gitlab.projects[id_] for id_ in runner.project_ids if id_ in gitlab.projects]
        details["projects"] = [basic_project_details(project) for project in projects if caller.may_see(project)]
    groups = [gitlab.groups[runner.group_id]] if runner.group_id in gitlab.groups else []
    details["groups"] = [basic_group_details(group) for group in groups if caller.may_see(group)]
    return details


def ci_runner_manager(gitlab: FakeGitLab, runner: Runner, manager: Manager) -> dict[str, Any]:
    return {
        "id": manager.id,
        "system_id": manager.system_id,
        "version": manager.version,
        "revision": manager.revision,
        "platform": manager.platform,
        "architecture": manager.architecture,
        "created_at": iso(manager.created_at),
        "contacted_at": iso(manager.contacted_at),
        "ip_address": manager.ip_address,
        "status": manager_status(manager, gitlab.clock.now()),
        "job_execution_status": _job_execution_status(gitlab, runner, manager.system_id),
    }


def ci_job_basic_with_project(gitlab: FakeGitLab, job: Job) -> dict[str, Any]:
    ended = job.finished_at or gitlab.clock.now()
    project = gitlab.projects[job.project_id]
    entity = {
        "id": job.id,
        "status": job.status,
        "stage": "test",
        "name": job.name,
        "ref": "main",
        "tag": False,
        "coverage": None,
        "allow_failure": False,
        "created_at": iso(job.created_at),
        "started_at": iso(job.started_at),
        "finished_at": iso(job.finished_at),
        "erased_at": None,
        "duration": (ended - job.started_at).total_seconds() if job.started_at else None,
        "queued_duration": ((job.started_at or ended) - job.created_at).total_seconds(),
        "user": None,
        "commit": None,
        "pipeline": {"id": job.id, "project_id": project.id, "ref": "main"},
        "web_url": f"/jobs/{job.id}",
        "project": basic_project_details(project),
    }
    return {**entity, "failure_reason": job.failure_reason} if job.status == "failed" else entity


def basic_project_details(project: Project) -> dict[str, Any]:
    name = project.path.rpartition("/")[2]
    return {"id": project.id, "name": name, "path": name, "path_with_namespace": project.path}


def project_details(gitlab: FakeGitLab, project: Project, origin: str) -> dict[str, Any]:
    group = gitlab.groups.get(project.group_id or 0)
    return {
        **basic_project_details(project),
        "visibility": "public" if project.public else "private",
        "namespace": {"id": group.id, "kind": "group", "full_path": group.path} if group else None,
        "web_url": f"{origin}/{project.path}",
    }


def group_details(group: Group, origin: str) -> dict[str, Any]:
    name = group.path.rpartition("/")[2]
    return {
        "id": group.id,
        "name": name,
        "path": name,
        "full_name": group.path.replace("/", " / "),
        "full_path": group.path,
        "parent_id": group.parent_id,
        "visibility": "public" if group.public else "private",
        "web_url": f"{origin}/groups/{group.path}",
    }


def basic_group_details(group: Group) -> dict[str, Any]:
    return {"id": group.id, "name": group.path.rpartition("/")[2], "web_url": f"/groups/{group.path}"}
