# SPDX-License-Identifier: GPL-3.0-or-later
"""The process `gitlab-runner run`, observed from GitLab: jobs, signals, limits, reload, health, rotation."""

from __future__ import annotations

import signal
import stat
from datetime import timedelta

import pytest
from fake_gitlab import FakeGitLab, Fault
from fake_gitlab.namespaces import Project
from fake_gitlab.runners import LEGACY_SYSTEM_ID, Runner
from standin_pi import Pi, eventually

pytestmark = pytest.mark.slow


def _requests(gitlab: FakeGitLab) -> list[int | None]:
    """The status of each reply to `POST /jobs/request`, in order."""
    return [entry.status for entry in gitlab.journal.matching("POST", "/jobs/request")]


def test_a_job_runs_and_its_trace_is_sent(gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi) -> None:
    job = gitlab.add_job(project, ["echo hello from $PLACE", "echo token $CI_JOB_TOKEN"], variables={"PLACE": "a Pi"})
    pi.write(pi.entry(runner.token))
    pi.start()
    eventually(lambda: job.status == "success")
    assert "hello from a Pi" in job.log
    assert "Job succeeded" in job.log
    assert job.token not in job.log
    assert runner.token not in pi.log
    system_id = (pi.folder / ".runner_system_id").read_text()
    assert f"Version:      {runner.managers[system_id].version}\n" in pi.version()


def test_a_job_fails_with_its_exit_code(gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi) -> None:
    job = gitlab.add_job(project, ["echo before", "(exit 7)", "echo never"], after_script=["echo after"])
    pi.write(pi.entry(runner.token))
    pi.start()
    eventually(lambda: job.status == "failed")
    assert (job.failure_reason, job.exit_code) == ("script_failure", 7)
    printed = [line.split()[-1] for line in job.log.splitlines() if line.split()]
    assert printed.index("before") < printed.index("after")
    assert "never" not in printed


def test_sigquit_finishes_the_job_and_requests_no_other(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi
) -> None:
    first = gitlab.add_job(project, ["sleep 1", "echo done"])
    pi.write(pi.entry(runner.token, "limit = 1\n"))
    pi.start()
    eventually(lambda: first.status == "running")
    second = gitlab.add_job(project, ["true"])
    pi.signal(signal.SIGQUIT)
    assert pi.wait() == 0
    assert (first.status, second.status) == ("success", "pending")


def test_sigterm_aborts_the_job(gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi) -> None:
    gitlab.settings.trace_update_interval = 1
    job = gitlab.add_job(project, ["echo begun", "sleep 60"])
    pi.write(pi.entry(runner.token))
    pi.start()
    eventually(lambda: "begun" in job.log)
    pi.signal(signal.SIGTERM)
    pi.wait()
    assert job.status == "failed"
    assert job.failure_reason != "script_failure"
    assert "aborted" in job.log


def test_sigterm_before_the_reply_to_a_job_request(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi
) -> None:
    """GitLab assigns the job before the signal, and its reply arrives after it: the script is not started."""
    gitlab.faults.add(Fault("POST", "/jobs/request", delay=0.5, after=True))
    job = gitlab.add_job(project, ["sleep 60"])
    pi.write(pi.entry(runner.token))
    pi.start()
    eventually(lambda: job.status == "running")
    pi.signal(signal.SIGTERM)
    pi.wait()
    assert "sleep" not in job.log


def test_a_canceled_job_is_stopped(gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi) -> None:
    gitlab.settings.trace_update_interval = 1
    job = gitlab.add_job(project, ["while true; do echo tick; sleep 0.2; done"])
    pi.write(pi.entry(runner.token))
    pi.start()
    eventually(lambda: "tick" in job.log)
    gitlab.cancel_job(job.id)
    eventually(lambda: job.status == "canceled")


def test_limit_is_respected(gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi) -> None:
    jobs = [gitlab.add_job(project, ["sleep 0.5"]) for _ in range(2)]
    pi.write(pi.entry(runner.token, "limit = 1\n"))
    pi.start()
    eventually(lambda: all(job.status == "success" for job in jobs))
    first, second = jobs
    assert first.finished_at is not None
    assert second.started_at is not None
    assert second.started_at >= first.finished_at


def test_a_trace_chunk_is_sent_again_after_a_cut_connection(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi
) -> None:
    gitlab.faults.add(Fault("PATCH", cut=True, after=True))
    job = gitlab.add_job(project, ["echo once"])
    pi.write(pi.entry(runner.token))
    pi.start()
    eventually(lambda: job.status == "success")
    assert job.log.count("once") == 2  # the command and what it printed


def test_reload(gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi) -> None:
    """An invalid file is ignored, a valid one is loaded without a restart."""
    other = gitlab.create_runner("project_type", owner=project, run_untagged=False, tag_list=["other"])
    pi.write(pi.entry(runner.token))
    pi.start()
    eventually(lambda: runner.managers)
    pi.write(pi.entry(runner.token), settings='concurrent = "2"\n')
    eventually(lambda: "ailed to load config" in pi.log)
    job = gitlab.add_job(project, ["true"])
    eventually(lambda: job.status == "success")
    pi.write(pi.entry(runner.token), pi.entry(other.token))
    pi.signal(signal.SIGHUP)
    eventually(lambda: other.managers)


def test_an_entry_is_disabled_after_three_rejected_requests(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi
) -> None:
    other = gitlab.create_runner("project_type", owner=project, run_untagged=False, tag_list=["other"])
    pi.write(pi.entry("glrt-nobody"), pi.entry(other.token))
    pi.start()
    eventually(lambda: "unhealthy" in pi.log)
    answered = len(_requests(gitlab))
    eventually(lambda: len(_requests(gitlab)) >= answered + 2)
    assert _requests(gitlab).count(403) == 3


def test_concurrent_zero_is_fatal(runner: Runner, pi: Pi) -> None:
    pi.write(pi.entry(runner.token), settings="concurrent = 0\n")
    pi.start()
    assert pi.wait() == 1


def test_an_expiring_token_is_rotated(gitlab: FakeGitLab, runner: Runner, pi: Pi) -> None:
    """By a request without a system id. The file is rewritten in place: new token, same inode and mode, no comments."""
    gitlab.settings.token_lifetime = 3600
    before, now = runner.token, gitlab.clock.now()
    dates = [(now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ") for seconds in (-100, 10)]
    pi.write(pi.entry(before, f"# a comment\ntoken_obtained_at = {dates[0]}\ntoken_expires_at = {dates[1]}\n"))
    inode = pi.config.stat().st_ino
    pi.start()
    eventually(lambda: runner.token != before and runner.token in pi.config.read_text())
    text = pi.config.read_text()
    assert before not in text
    assert "# a comment" not in text
    assert '  name = "pi"\n' in text
    assert (pi.config.stat().st_ino, stat.S_IMODE(pi.config.stat().st_mode)) == (inode, 0o600)
    eventually(lambda: _requests(gitlab)[-1:] == [204])
    assert set(runner.managers) == {LEGACY_SYSTEM_ID, (pi.folder / ".runner_system_id").read_text()}
