# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: a queue, a state, a log."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

RUNNING = ("running", "canceling")
FINISHED = ("success", "failed", "canceled")
STATUSES = ("pending", *RUNNING, *FINISHED)


@dataclass
class Job:
    id: int
    token: str = field(repr=False)
    name: str
    script: list[str]
    created_at: datetime
    project_id: int
    image: str | None = None
    services: list[str] = field(default_factory=list)
    tag_list: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    after_script: list[str] = field(default_factory=list)
    timeout: int = 3600
    """Seconds."""
    protected: bool = False
    """Whether it belongs to a protected ref, as a ref_protected runner wants."""
    only_runner_id: int | None = None
    """Set for a job that one runner alone may take, as GitLab cannot say but tests must."""
    status: str = "pending"
    runner_id: int | None = None
    system_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    failure_reason: str | None = None
    exit_code: int | None = None
    trace: bytes = field(default=b"", repr=False)

    @property
    def log(self) -> str:
        return self.trace.decode(errors="replace")

    @property
    def is_running(self) -> bool:
        return self.status in RUNNING
