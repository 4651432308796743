# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a job: did it end as its script says, was it never started, or is it lost?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from load.jobs import LoadJob


class Outcome(Enum):
    DONE = "ended as its script says"
    NOT_STARTED = "was not picked by a runner"
    LOST = "lost"


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    reason: str = ""
    """Of a lost job: what GitLab shows instead of the end that its script has."""


def verdict(job: LoadJob, seen: Mapping[str, Any]) -> Verdict:
    """Judge a job by what GitLab shows of it.

    `seen` has `status`, `started_at`, `failure_reason`, `exit_code` and `trace`, as `GET /_fake/jobs/ID` has.
    """
    if seen["started_at"] is None:
        return Verdict(Outcome.NOT_STARTED)
    reason = _wrong_status(job, seen) or _wrong_trace(job, seen["trace"])
    return Verdict(Outcome.LOST, reason) if reason else Verdict(Outcome.DONE)


def _wrong_status(job: LoadJob, seen: Mapping[str, Any]) -> str:
    status, failure, exit_code = seen["status"], seen["failure_reason"], seen["exit_code"]
    if status not in ("success", "failed"):
        return f"is {status} for ever" if status == "running" else f"is {status}"
    if job.exit_code == 0:
        return "" if status == "success" else f"failed with {failure}, exit code {exit_code}"
    if status == "success":
        return f"succeeded, but its script ends with exit code {job.exit_code}"
    as_asked = (failure, exit_code) == ("script_failure", job.exit_code)
    return "" if as_asked else f"failed with {failure}, exit code {exit_code}, not with {job.exit_code} of its script"


def _wrong_trace(job: LoadJob, trace: str) -> str:
    found = [int(number) for number in re.findall(rf"{re.escape(job.name)} line (\d+) of {job.lines}\b", trace)]
    if found == list(range(1, job.lines + 1)):
        return ""
    if found == list(range(1, len(found) + 1)):
        return f"ended, but its trace ends after line {len(found)} of {job.lines}"
    return f"ended, but its trace has the lines {found} of {job.lines}"
