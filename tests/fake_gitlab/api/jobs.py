# SPDX-License-Identifier: GPL-3.0-or-later
"""The job endpoints that GitLab Runner uses: request a job, append its trace, update its state."""

from __future__ import annotations

import zlib

from fake_gitlab import errors
from fake_gitlab.api.runner_tokens import TOKEN, authenticate_runner
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.job_response import job_response
from fake_gitlab.jobs import Job
from fake_gitlab.orphans import reject_manager_of_orphaned_runner
from fake_gitlab.params import Param, integer, mapping, read_params
from fake_gitlab.queue import next_job
from fake_gitlab.runners import LEGACY_SYSTEM_ID
from fake_gitlab.state import FakeGitLab

_LAST_UPDATE = "X-GitLab-Last-Update"


def request(gitlab: FakeGitLab, call: Call) -> Reply:
    """201 with a job, or 204 with the runner's queue value in `X-GitLab-Last-Update`.

    A request that sends the current value as `last_update` is a 204 without a look at the queue.
    """
    params = read_params(call.params, [TOKEN, Param("system_id"), Param("last_update"), Param("info", mapping)])
    runner = authenticate_runner(gitlab, call, params["token"])
    reject_manager_of_orphaned_runner(gitlab, runner)
    system_id = params.get("system_id") or LEGACY_SYSTEM_ID
    gitlab.heartbeat(runner, system_id, call.client, params.get("info") or {})
    runner.finished = True
    queue_value = gitlab.runner_queue_value(runner)
    if runner.paused or params.get("last_update") == queue_value:
        return Reply(204, headers={_LAST_UPDATE: queue_value})
    job = next_job(gitlab, runner)
    if job is None:
        return Reply(204, headers={_LAST_UPDATE: queue_value})
    job.status, job.runner_id, job.system_id, job.started_at = "running", runner.id, system_id, gitlab.clock.now()
    return Reply(201, job_response(gitlab, job, runner, call.origin))


def update(gitlab: FakeGitLab, call: Call) -> Reply:
    """200, or 202 while the trace is being archived: the runner then has to repeat the request."""
    job = authenticate_job(gitlab, call)
    params = read_params(
        call.params,
        [
            Param("state"),
            Param("failure_reason"),
            Param("checksum"),
            Param("output", mapping),
            Param("exit_code", integer),
        ],
    )
    now, state = gitlab.clock.now(), params.get("state")
    if state in ("success", "failed"):
        job.reported_at = job.reported_at or now
        if (now - job.reported_at).total_seconds() < gitlab.settings.trace_storing:
            return _job_reply(gitlab, job, 202)
        job.exit_code = params.get("exit_code")
        reason = params.get("failure_reason") or "unknown_failure" if state == "failed" else None
        job.finish("canceled" if job.status == "canceling" else state, now, reason)
        gitlab.tick_runner_queue()
    elif state not in (None, "running"):
        return Reply(400, "400", {**_job_headers(gitlab, job)})
    return _job_reply(gitlab, job, 200)


def append_trace(gitlab: FakeGitLab, call: Call) -> Reply:
    """Append the body at the offset in `Content-Range`: 202, or 416 with the present range when that is not the end.

    A repeated last chunk is accepted and not appended again.
    """
    job = authenticate_job(gitlab, call)
    content_range = call.headers.get("content-range")
    if content_range is None:
        raise errors.grape_error(400, "400 Missing header Content-Range")
    start, _, _ = content_range.partition("-")
    if not start.isdigit():
        raise errors.grape_error(400, "400 Missing header Content-Range")
    end = int(start) + len(call.body)
    if end > gitlab.settings.trace_limit:
        job.finish("failed", gitlab.clock.now(), "trace_size_exceeded")
        raise errors.grape_error(403, "403 Forbidden")
    if int(start) == len(job.trace):
        job.trace += call.body
    size = f"0-{len(job.trace)}"
    if end != len(job.trace):
        raise errors.grape_error(416, "416 Range Not Satisfiable", {"Range": size})
    return Reply(202, headers={**_job_headers(gitlab, job), "Range": size})


def upload_artifacts(gitlab: FakeGitLab, call: Call) -> Reply:
    """Record size and checksum; the content is not stored."""
    job = authenticate_job(gitlab, call)
    job.artifacts.append(f"{len(call.body)} bytes, crc32 {zlib.crc32(call.body):08x}")
    return Reply(201, "201")


def download_artifacts(gitlab: FakeGitLab, call: Call) -> Reply:
    raise errors.grape_error(404, "404 Not found")


def authenticate_job(gitlab: FakeGitLab, call: Call) -> Job:
    """The running job with this id and token; its runner gets a heartbeat.

    Raises APIError 403, even for an unknown id: GitLab Runner aborts a job on 403.
    """
    job_id = read_params(call.params, [Param("id", integer, required=True)])["id"]
    job = gitlab.jobs.get(job_id)
    token = call.params.get("token") or call.headers.get("job-token")
    if job is None or job.token != token:
        raise errors.forbidden()
    if job.project_id not in gitlab.projects:
        raise errors.forbidden("Project has been deleted!")
    if not job.is_running:
        raise errors.forbidden("Job is not processing on runner", {"Job-Status": job.status})
    runner = gitlab.runners.get(job.runner_id or 0)
    if runner:
        call.runner_id = runner.id
        gitlab.heartbeat(runner, job.system_id or LEGACY_SYSTEM_ID, call.client, {})
    return job


def _job_reply(gitlab: FakeGitLab, job: Job, status: int) -> Reply:
    return Reply(status, str(status), _job_headers(gitlab, job))


def _job_headers(gitlab: FakeGitLab, job: Job) -> dict[str, str]:
    return {
        "Job-Status": job.status,
        "X-GitLab-Trace-Update-Interval": str(gitlab.settings.trace_update_interval),
    }


ENDPOINTS = (
    Endpoint("POST", "/jobs/request", request, "job"),
    Endpoint("PUT", "/jobs/{id}", update, "job"),
    Endpoint("PATCH", "/jobs/{id}/trace", append_trace, "job"),
    Endpoint("POST", "/jobs/{id}/artifacts", upload_artifacts, "job"),
    Endpoint("GET", "/jobs/{id}/artifacts", download_artifacts, "job"),
)
