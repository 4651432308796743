# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job prints, and getting it to GitLab."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Sequence
from typing import Any

from runner_standin.gitlab import Client, Reply, Unreachable
from runner_standin.stopping import Cause, Stop

_INTERVAL = 3.0  # seconds between two patches, until the server says otherwise
_LONGEST_INTERVAL = 15 * 60.0
_TOUCH_INTERVAL = 30.0  # a silent job is reported as running this often
_LARGEST_PATCH = 1024 * 1024
_FINAL_TRIES = 10
_MASK = b"[MASKED]"
_LOG = logging.getLogger(__name__)


class Trace:
    """The bytes of a job's log, whole lines at a time, with masked values hidden."""

    def __init__(self, masked: Sequence[str]) -> None:
        self._masked = sorted((value.encode() for value in masked), key=len, reverse=True)
        self._lock = threading.Lock()
        self._content = bytearray()
        self._line = b""

    def write(self, data: bytes) -> None:
        with self._lock:
            whole, newline, self._line = (self._line + data).rpartition(b"\n")
            self._content += self._hidden(whole + newline)

    def say(self, text: str) -> None:
        self.write(text.encode() + b"\n")

    def flush(self) -> None:
        """Take the last line even if it has no end."""
        with self._lock:
            self._content += self._hidden(self._line)
            self._line = b""

    def read(self, start: int) -> bytes:
        with self._lock:
            return bytes(self._content[start : start + _LARGEST_PATCH])

    def output(self) -> dict[str, Any]:
        with self._lock:
            return {"checksum": f"crc32:{zlib.crc32(self._content):08x}", "bytesize": len(self._content)}

    def _hidden(self, data: bytes) -> bytes:
        for value in self._masked:
            data = data.replace(value, _MASK)
        return data


class Reporter:
    """Sends a trace while the job runs, and the result when it has ended."""

    def __init__(self, client: Client, job: int, token: str, trace: Trace, stop: Stop) -> None:
        self._client, self._job, self._token, self._trace, self._stop = client, job, token, trace, stop
        self._sent = 0
        self._interval = _INTERVAL
        self._reported = time.monotonic()
        self._ended = threading.Event()
        self._refused = False
        self._thread = threading.Thread(target=self._watch, name=f"trace-{job}", daemon=True)

    def start(self) -> bool:
        """Tell GitLab that the job runs; False when it does not want it any more."""
        self._update("running")
        if not self._refused:
            self._thread.start()
        return not self._refused

    def finish(self, state: str, reason: str = "", exit_code: int = 0) -> None:
        """Send what is left of the trace, then the state, trying again while the server is not ready for it."""
        self._ended.set()
        self._thread.join()
        self._trace.flush()
        self._interval = _INTERVAL
        for pause in range(_FINAL_TRIES):
            while not self._refused and self._trace.read(self._sent):
                if not self._patch():
                    break
            else:
                if self._refused or self._update(state, reason, exit_code) == 200:
                    return
            time.sleep(min(pause + 1, self._interval))
        _LOG.error("Submitting job to coordinator... given up job=%d", self._job)

    def _watch(self) -> None:
        while not self._ended.wait(self._interval) and not self._refused:
            self._patch()
            if time.monotonic() - self._reported > _TOUCH_INTERVAL and not self._refused:
                self._update("running")

    def _patch(self) -> bool:
        """Send the next piece; False when it has to be tried again."""
        content = self._trace.read(self._sent)
        if not content:
            return True
        try:
            reply = self._client.patch_trace(self._job, self._token, self._sent, content)
        except Unreachable as error:
            _LOG.error("Appending trace to coordinator... error job=%d: %s", self._job, error)
            return False
        self._heed(reply)
        if reply.status == 202:
            self._sent += len(content)
        elif reply.status == 416:
            self._sent = int(reply.headers.get("range", "0-0").rpartition("-")[2])
        _LOG.info(
            "Appending trace to coordinator... %s job=%d", "ok" if reply.status == 202 else reply.status, self._job
        )
        return reply.status == 202

    def _update(self, state: str, reason: str = "", exit_code: int = 0) -> int:
        update: dict[str, Any] = {"state": state, "output": self._trace.output()}
        update["checksum"] = update["output"]["checksum"]
        if reason:
            update["failure_reason"] = reason
        if exit_code:
            update["exit_code"] = exit_code
        try:
            reply = self._client.update_job(self._job, self._token, update)
        except Unreachable as error:
            _LOG.warning("Submitting job to coordinator... failed job=%d: %s", self._job, error)
            return 0
        self._heed(reply)
        if reply.status == 412:
            self._sent = 0
        _LOG.info("Submitting job to coordinator... status=%d job=%d state=%s", reply.status, self._job, state)
        return reply.status

    def _heed(self, reply: Reply) -> None:
        self._reported = time.monotonic()
        interval = reply.headers.get("x-gitlab-trace-update-interval", "")
        if interval.isdecimal() and int(interval) > 0:
            self._interval = min(float(interval), _LONGEST_INTERVAL)
        status = reply.headers.get("job-status")
        if reply.status in (403, 404) or status in ("canceled", "failed"):
            self._refused = True
        if self._refused or status == "canceling":
            self._stop.set(Cause.CANCELED)
