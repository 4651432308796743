# SPDX-License-Identifier: GPL-3.0-or-later
"""A CI job: its definition, its status and its trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

RUNNING = ("running", "canceling")
STATUSES = ("created", "pending", "running", "canceling", "success", "failed", "canceled")


@dataclass
class Job:
    id: int
    token: str = field(repr=False)
    project_id: int
    created_at: datetime
    name: str
    script: list[str]
    after_script: list[str] = field(default_factory=list)
    image: str | None = None
    services: list[str | dict[str, Any]] = field(default_factory=list)
    """As in .gitlab-ci.yml: images, or dictionaries with `name`, `alias`, `command`, `entrypoint`, `variables`."""
    tag_list: list[str] = field(default_factory=list)
    cache: list[dict[str, Any]] = field(default_factory=list)
    """As in a .gitlab-ci.yml: `key`, `paths`, `policy`, `when`, `untracked`."""
    variables: dict[str, str] = field(default_factory=dict)
    """Those of .gitlab-ci.yml."""
    timeout: int = 3600
    """Seconds."""
    protected: bool = False
    """Whether its ref is protected; a runner with `access_level` ref_protected takes only such jobs."""
    sha: str = "0" * 39 + "1"
    """Of the commit, which the default is not: there is no repository, and jobs run with GIT_STRATEGY none."""
    only_runner_id: int | None = None
    """Only this runner may take the job. Not a feature of GitLab."""
    status: str = "pending"
    runner_id: int | None = None
    system_id: str | None = None
    started_at: datetime | None = None
    reported_at: datetime | None = None
    """When the runner first reported success or failure."""
    finished_at: datetime | None = None
    failure_reason: str | None = None
    exit_code: int | None = None
    trace: bytes = field(default=b"", repr=False)
    artifacts: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        """The trace as text."""
        return self.trace.decode(errors="replace")

    @property
    def is_running(self) -> bool:
        return self.status in RUNNING

    def finish(self, status: str, now: datetime, failure_reason: str | None = None) -> None:
        self.status, self.finished_at, self.failure_reason = status, now, failure_reason
