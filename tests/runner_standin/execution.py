# SPDX-License-Identifier: GPL-3.0-or-later
"""Executes one job: all its steps, its trace, its final state."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from runner_standin import VERSION
from runner_standin.cache import CacheStore
from runner_standin.config import Runner
from runner_standin.docker_executor import DockerExecutor
from runner_standin.gitlab import Client
from runner_standin.jobs import Job, JobFailed, Step, system_failure
from runner_standin.shell_executor import ShellExecutor
from runner_standin.sources import get_sources
from runner_standin.stop import Cause, JobStopped, Stop
from runner_standin.trace import Reporter, Trace

EXECUTORS = ("docker", "kubernetes", "shell")

_REASONS = {
    Cause.CANCELED: "job_canceled",
    Cause.SHUTDOWN: "runner_interrupted",
    Cause.TIMEOUT: "job_execution_timeout",
}
_RED, _GREEN, _PLAIN = "\x1b[31;1m", "\x1b[32;1m", "\x1b[0;m"
_LOG = logging.getLogger(__name__)


def execute(job: Job, runner: Runner, client: Client, stop: Stop, working_directory: Path, user: str | None) -> None:
    """Run a job and report it. Every failure, also an exception of the stand-in, is reported in trace and state."""
    trace = Trace([*job.masked, job.token])
    reporter = Reporter(client, job.id, job.token, trace, stop)
    if not reporter.start():
        return
    trace.write_line(f"Running with gitlab-runner {VERSION} (stand-in)\n  on {runner.name} {runner.short_token}")
    try:
        _run(job, runner, trace, stop, working_directory, user)
    except JobStopped as stopped:
        _report_failure(job, trace, reporter, JobFailed(str(stopped), _REASONS[stopped.cause]))
    except JobFailed as failure:
        _report_failure(job, trace, reporter, failure)
    except Exception as error:
        _LOG.exception("job %d", job.id)
        _report_failure(job, trace, reporter, system_failure(f"{type(error).__name__}: {error}"))
    else:
        trace.write_line(f"{_GREEN}Job succeeded{_PLAIN}")
        reporter.finish("success")
        _LOG.info("Job succeeded job=%d project=%d runner=%s", job.id, job.project_id, runner.short_token)


def _run(job: Job, runner: Runner, trace: Trace, stop: Stop, working_directory: Path, user: str | None) -> None:
    if job.unsupported:
        raise system_failure(f"the stand-in for GitLab Runner has no {', no '.join(job.unsupported)}")
    if runner.executor == "kubernetes":
        raise system_failure("the stand-in for GitLab Runner requests jobs for the executor kubernetes, but runs none")
    if job.services and runner.executor != "docker":
        raise system_failure(f"the stand-in for GitLab Runner has no services for the executor {runner.executor}")
    if job.caches and runner.settings.get("cache", {}).get("Type") != "s3":
        raise system_failure(
            "the stand-in for GitLab Runner has caches in S3 buckets only: set Type in [runners.cache]"
        )
    caches = CacheStore(runner, job.project_id, trace.write_line)
    executor: DockerExecutor | ShellExecutor
    if runner.executor == "docker":
        executor = DockerExecutor(runner, job, trace.write_line)
    else:
        executor = ShellExecutor(runner, job, working_directory, user)
    trace.write_line(executor.description)
    with executor:
        failure = _run_steps([get_sources(job, runner)] if job.git else [], None, executor, trace, stop)
        if failure is None:
            caches.restore(job.caches, executor)
        failure = _run_steps(job.steps, failure, executor, trace, stop)
        caches.archive(job.caches, executor, failure is None)
    if failure is not None:
        raise failure


def _run_steps(
    steps: Sequence[Step],
    failure: JobFailed | None,
    executor: DockerExecutor | ShellExecutor,
    trace: Trace,
    stop: Stop,
) -> JobFailed | None:
    """Return the first failure. After one only those steps are run that always are."""
    for step in steps:
        if failure is not None and not step.always:
            continue
        exit_code = executor.run(step, trace.write, stop)
        if exit_code:
            failure = failure or _failure(step, exit_code, trace)
    return failure


def _failure(step: Step, exit_code: int, trace: Trace) -> JobFailed | None:
    if step.allow_failure:
        trace.write_line(f"WARNING: {step.name} failed with exit code {exit_code}, but the job continues")
        return None
    return JobFailed(f"exit code {exit_code}", "script_failure", exit_code)


def _report_failure(job: Job, trace: Trace, reporter: Reporter, failure: JobFailed) -> None:
    kind = " (system failure)" if failure.reason == "runner_system_failure" else ""
    trace.write_line(f"{_RED}ERROR: Job failed{kind}: {failure}{_PLAIN}")
    reporter.finish("failed", job.supported_failure_reason(failure.reason), failure.exit_code)
    _LOG.warning("Job failed%s: %s", kind, failure)
