# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /runners/:id/jobs` and `GET /runners/:id/projects`."""

from __future__ import annotations

from fake_gitlab import entities, errors
from fake_gitlab.api.runner_by_id import authenticate_and_find_runner, require_permission
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.jobs import STATUSES
from fake_gitlab.namespaces import Role
from fake_gitlab.pagination import paginate
from fake_gitlab.params import Param
from fake_gitlab.state import FakeGitLab


def list_jobs(gitlab: FakeGitLab, call: Call) -> Reply:
    """The runner's jobs in projects where the caller is at least Reporter; `sort` is ignored without `order_by`."""
    caller, params, runner = authenticate_and_find_runner(
        gitlab,
        call,
        [
            Param("status", values=STATUSES),
            Param("system_id"),
            Param("order_by", values=("id",)),
            Param("sort", values=("asc", "desc")),
        ],
    )
    if not caller.may_read_builds(runner):
        raise errors.forbidden("No access granted")
    readable = {
        project.id
        for project in gitlab.projects.values()
        if caller.is_admin or caller.user.auditor or caller.role_in(project) >= Role.REPORTER
    }
    chosen = [
        job
        for job in gitlab.jobs.values()
        if job.runner_id == runner.id
        and job.project_id in readable
        and params.get("status") in (None, job.status)
        and params.get("system_id") in (None, job.system_id)
    ]
    chosen.sort(key=lambda job: job.id, reverse=bool(params.get("order_by")) and params.get("sort") != "asc")
    return paginate(
        call, chosen, lambda job: entities.ci_job_basic_with_project(gitlab, job), counted=not params.get("system_id")
    )


def list_projects(gitlab: FakeGitLab, call: Call) -> Reply:
    """The runner's projects that the caller may see, by descending id."""
    caller, _, runner = authenticate_and_find_runner(gitlab, call)
    require_permission(caller.may_read(runner))
    assigned = [gitlab.projects[id_] for id_ in sorted(runner.project_ids, reverse=True) if id_ in gitlab.projects]
    return paginate(call, [project for project in assigned if caller.may_see(project)], entities.basic_project_details)


ENDPOINTS = (
    Endpoint("GET", "/runners/{id}/jobs", list_jobs, "user"),
    Endpoint("GET", "/runners/{id}/projects", list_projects, "user", needs="projects_of_runner_route"),
)
