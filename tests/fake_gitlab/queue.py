# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pending job a runner picks (GitLab: `Ci::RegisterJobService`)."""

from __future__ import annotations

from fake_gitlab.jobs import Job
from fake_gitlab.runners import Runner
from fake_gitlab.state import FakeGitLab


def next_job(gitlab: FakeGitLab, runner: Runner) -> Job | None:
    """The oldest pending job that the runner may pick."""
    return next(
        (job for job in gitlab.jobs.values() if job.status == "pending" and _can_pick(gitlab, runner, job)), None
    )


def _can_pick(gitlab: FakeGitLab, runner: Runner, job: Job) -> bool:
    return (
        job.only_runner_id in (None, runner.id)
        and _serves_project(gitlab, runner, job.project_id)
        and set(job.tag_list) <= set(runner.tag_list)
        and (bool(job.tag_list) or runner.run_untagged)
        and (job.protected or runner.access_level != "ref_protected")
    )


def _serves_project(gitlab: FakeGitLab, runner: Runner, project_id: int) -> bool:
    if project_id not in gitlab.projects:
        return False
    if runner.runner_type == "instance_type":
        return True
    if runner.runner_type == "project_type":
        return project_id in runner.project_ids
    groups = gitlab.self_and_ancestors(gitlab.projects[project_id].group_id)
    return any(group.id == runner.group_id for group in groups)
