# SPDX-License-Identifier: GPL-3.0-or-later
"""A job is lost unless it ended as its script says, once and with its whole trace, or was never started."""

from __future__ import annotations

from typing import Any

import pytest
from load.jobs import LoadJob
from load.verdict import Outcome, verdict

WORKS = LoadJob("load-1", "pi-01", "docker", "script", lines=3)
FAILS = LoadJob("load-2", "pi-01", "docker", "script", lines=3, exit_code=7)


def seen(job: LoadJob, lines: list[int] | None = None, **changes: Any) -> dict[str, Any]:
    """What GitLab shows of the job when all went well, but for the changes."""
    numbers = range(1, job.lines + 1) if lines is None else lines
    trace = "Running with gitlab-runner\n$ : # collapsed multi-line command\n"
    trace += "".join(job.line(number) + "\n" for number in numbers)
    good = (
        {"status": "failed", "failure_reason": "script_failure", "exit_code": job.exit_code}
        if job.exit_code
        else {"status": "success", "failure_reason": None, "exit_code": None}
    )
    return {"started_at": "2026-01-01T00:00:00Z", "trace": trace, **good, **changes}


@pytest.mark.parametrize("job", [WORKS, FAILS], ids=["success", "failure"])
def test_an_end_as_its_script_says(job: LoadJob) -> None:
    assert verdict(job, seen(job)).outcome is Outcome.DONE


@pytest.mark.parametrize("status", ["pending", "canceled"])
def test_a_job_that_no_runner_picked_is_not_lost(status: str) -> None:
    assert verdict(WORKS, seen(WORKS, [], status=status, started_at=None)).outcome is Outcome.NOT_STARTED


@pytest.mark.parametrize(
    ("job", "changes", "reason"),
    [
        (WORKS, {"status": "running", "lines": [1]}, "is running for ever"),
        (WORKS, {"status": "running"}, "is running for ever"),
        (WORKS, {"status": "canceled"}, "is canceled"),
        (
            WORKS,
            {"status": "failed", "failure_reason": "runner_system_failure", "exit_code": None},
            "failed with runner_system_failure, exit code None",
        ),
        (
            WORKS,
            {"status": "failed", "failure_reason": "script_failure", "exit_code": 137},
            "failed with script_failure, exit code 137",
        ),
        (FAILS, {"status": "success"}, "succeeded, but its script ends with exit code 7"),
        (
            FAILS,
            {"exit_code": 137},
            "failed with script_failure, exit code 137, not with 7 of its script",
        ),
        (
            FAILS,
            {"failure_reason": "runner_system_failure"},
            "failed with runner_system_failure, exit code 7, not with 7 of its script",
        ),
        (WORKS, {"lines": [1, 2]}, "ended, but its trace ends after line 2 of 3"),
        (FAILS, {"lines": []}, "ended, but its trace ends after line 0 of 3"),
        (WORKS, {"lines": [1, 3]}, "ended, but its trace has the lines [1, 3] of 3"),
        (WORKS, {"lines": [1, 1, 2, 3]}, "ended, but its trace has the lines [1, 1, 2, 3] of 3"),
    ],
)
def test_everything_else_is_lost(job: LoadJob, changes: dict[str, Any], reason: str) -> None:
    judged = verdict(job, seen(job, **changes))
    assert (judged.outcome, judged.reason) == (Outcome.LOST, reason)


def test_lines_of_another_job_do_not_count() -> None:
    other = LoadJob("load-11", "pi-01", "docker", "script", lines=3)
    assert verdict(WORKS, seen(WORKS, trace=seen(other)["trace"])).outcome is Outcome.LOST
