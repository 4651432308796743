# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON of a job as `POST /jobs/request` returns it (GitLab: `Entities::Ci::JobRequest::Response`)."""

from __future__ import annotations

import json
from typing import Any

from fake_gitlab.jobs import Job
from fake_gitlab.runners import Runner
from fake_gitlab.state import FakeGitLab

_BRANCH = "main"


def job_response(gitlab: FakeGitLab, job: Job, runner: Runner, origin: str) -> dict[str, Any]:
    """The body of the reply. `origin` is the URL under which the runner reaches this server."""
    project = gitlab.projects[job.project_id]
    timeout = min(job.timeout, runner.maximum_timeout or job.timeout)
    url = f"{origin}/{project.path}"
    return {
        "id": job.id,
        "token": job.token,
        "allow_git_fetch": True,
        "job_info": {
            "id": job.id,
            "name": job.name,
            "stage": "test",
            "pipeline_id": job.id,
            "project_id": project.id,
            "project_name": project.path.rpartition("/")[2],
            "project_full_path": project.path,
            "namespace_id": project.group_id or 0,
            "user_id": 1,
            "time_in_queue_seconds": ((job.started_at or job.created_at) - job.created_at).total_seconds(),
            "project_jobs_running_on_instance_runners_count": "0",
        },
        "git_info": {
            "repo_url": f"{url}.git",
            "repo_object_format": "sha1",
            "ref": _BRANCH,
            "sha": job.sha,
            "before_sha": "0" * 40,
            "ref_type": "branch",
            "refspecs": [f"+refs/heads/{_BRANCH}:refs/remotes/origin/{_BRANCH}"],
            "depth": 20,
            "protected": job.protected,
        },
        "runner_info": {"timeout": timeout, "runner_session_url": None},
        "inputs": [],
        "variables": _variables(gitlab, job, runner, origin, url),
        "steps": _steps(job, timeout),
        "image": {"name": job.image} if job.image else None,
        "services": [_service(service) for service in job.services],
        "artifacts": [],
        "cache": [_cache(job, cache) for cache in job.cache],
        "credentials": [],
        "dependencies": [],
        "hooks": [],
        "features": {
            "trace_sections": True,
            "token_mask_prefixes": ["glpat-", "glrt-", "glrtr-", "glcbt-"],
            "failure_reasons": ["unknown_failure", "script_failure", "runner_system_failure", "job_execution_timeout"],
        },
        "policy_options": {"execution_policy_job": False},
    }


def _service(service: str | dict[str, Any]) -> dict[str, Any]:
    """service: as in .gitlab-ci.yml."""
    if isinstance(service, str):
        return {"name": service}
    variables = [{"key": key, "value": value, "public": True} for key, value in service.get("variables", {}).items()]
    return {**service, "variables": variables}


def _steps(job: Job, timeout: int) -> list[dict[str, Any]]:
    steps = [("script", job.script, "on_success", False)]
    if job.after_script:
        steps.append(("after_script", job.after_script, "always", True))
    return [
        {"name": name, "script": script, "timeout": timeout, "when": when, "allow_failure": allow_failure}
        for name, script, when, allow_failure in steps
    ]


def _cache(job: Job, cache: dict[str, Any]) -> dict[str, Any]:
    """GitLab keeps caches of protected refs apart, as projects do by default (separated_caches)."""
    kind = "protected" if job.protected else "non_protected"
    return {
        "key": f"{cache.get('key', 'default')}-{kind}",
        "untracked": cache.get("untracked", False),
        "unprotect": cache.get("unprotect", False),
        "policy": cache.get("policy", "pull-push"),
        "paths": cache.get("paths", []),
        "when": cache.get("when", "on_success"),
        "fallback_keys": [],
    }


def _variables(gitlab: FakeGitLab, job: Job, runner: Runner, origin: str, url: str) -> list[dict[str, Any]]:
    host = origin.partition("://")[2]
    predefined = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_SERVER": "yes",
        "CI_SERVER_URL": origin,
        "CI_SERVER_HOST": host.partition(":")[0],
        "CI_SERVER_VERSION": gitlab.settings.version,
        "CI_API_V4_URL": f"{origin}/api/v4",
        "CI_PIPELINE_ID": str(job.id),
        "CI_JOB_ID": str(job.id),
        "CI_JOB_NAME": job.name,
        "CI_JOB_STAGE": "test",
        "CI_JOB_URL": f"{origin}/jobs/{job.id}",
        "CI_COMMIT_SHA": job.sha,
        "CI_COMMIT_SHORT_SHA": job.sha[:8],
        "CI_COMMIT_REF_NAME": _BRANCH,
        "CI_COMMIT_BRANCH": _BRANCH,
        "CI_DEFAULT_BRANCH": _BRANCH,
        "CI_PROJECT_ID": str(job.project_id),
        "CI_PROJECT_PATH": gitlab.projects[job.project_id].path,
        "CI_PROJECT_URL": url,
        "CI_RUNNER_ID": str(runner.id),
        "CI_RUNNER_DESCRIPTION": runner.description or "",
        "CI_RUNNER_TAGS": json.dumps(runner.tag_list),
        "GIT_STRATEGY": "none",
    }
    public = [{"key": key, "value": value, "public": True, "masked": False} for key, value in predefined.items()]
    # Those of .gitlab-ci.yml are public, those of a project are not.
    custom = [{"key": key, "value": value, "public": True, "masked": False} for key, value in job.variables.items()]
    token = {"key": "CI_JOB_TOKEN", "value": job.token, "public": False, "masked": True}
    return [*public, token, *custom]
