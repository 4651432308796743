# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs without a pause: for every runner one job waits at any time, until the block ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from lab.fleet import GitLab, eventually
from lab.host import LabError

from load.jobs import LoadJob, Runner

PATIENCE = 60
"""Seconds in which no job has moved, though each says a line a second: what has not ended by then never will."""
_INTERVAL = 0.5
_OPEN = ("pending", "running", "canceling")


class Feed:
    """Queues jobs of `streams` as the runners take them; `image` is that of the containers which jobs start."""

    def __init__(self, gitlab: GitLab, streams: Mapping[Runner, Iterator[LoadJob]], image: str) -> None:
        self._gitlab, self._streams, self._image = gitlab, streams, image
        self._last: dict[Runner, int] = {}  # the job that was queued last for it
        self._jobs: dict[int, LoadJob] = {}
        self._done = threading.Event()

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(1)
        self._fed = self._pool.submit(self._feed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        self._pool.shutdown()
        self._fed.result()  # what went wrong in there is said

    def wait_until_all_run(self, timeout: float = 180) -> None:
        """Return when every runner has taken a job; a LabError when one has not."""
        idle = set(self._streams)

        def all_run() -> bool:
            idle.difference_update(self._jobs[job["id"]].runner for job in self._mine("running"))
            return not idle

        try:
            eventually(all_run, timeout)
        except LabError as error:
            raise LabError(f"took no job within {timeout} s: {sorted(idle)}") from error

    def finish(self) -> list[tuple[LoadJob, dict[str, Any]]]:
        """Wait until the jobs have ended, or have not moved for long, and return each with what GitLab shows of it.

        A job that no runner has picked is withdrawn.
        """
        seen: set[tuple[int, str, int]] = set()
        moved = time.monotonic()
        while unfinished := [job for status in _OPEN for job in self._mine(status)]:
            now = {(job["id"], job["status"], len(job["trace"])) for job in unfinished}
            if now != seen:
                seen, moved = now, time.monotonic()
            elif time.monotonic() - moved > PATIENCE:
                break
            time.sleep(1)
        for job in self._mine("pending"):
            self._gitlab.call("POST", f"/jobs/{job['id']}/cancel")
        return [(self._jobs[job["id"]], job) for job in self._gitlab.call("GET", "/jobs") if job["id"] in self._jobs]

    def _feed(self) -> None:
        while not self._done.is_set():
            pending = {job["id"] for job in self._mine("pending")}
            for runner, stream in self._streams.items():
                if self._last.get(runner) not in pending:
                    self._last[runner] = self._queue(next(stream))
            self._done.wait(_INTERVAL)

    def _queue(self, job: LoadJob) -> int:
        number: int = self._gitlab.call("POST", "/jobs", **job.request(self._image))["id"]
        self._jobs[number] = job
        return number

    def _mine(self, status: str) -> list[dict[str, Any]]:
        return [job for job in self._gitlab.call("GET", f"/jobs?status={status}") if job["id"] in self._jobs]
