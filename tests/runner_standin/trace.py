# SPDX-License-Identifier: GPL-3.0-or-later
"""The trace (log) of a job, and its transfer to GitLab."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Sequence
from typing import Any

from runner_standin.gitlab import Client, Reply, RequestFailed
from runner_standin.stop import Cause, Stop

_INTERVAL = 3.0  # seconds between two patches, unless the server sets it
_MAX_INTERVAL = 15 * 60.0
_TOUCH_INTERVAL = 30.0  # seconds without a request after which the job is reported as running
_MAX_PATCH_SIZE = 1024 * 1024
_FINAL_ATTEMPTS = 10
_MASK = b"[MASKED]"
_LOG = logging.getLogger(__name__)


class Trace:
    """The bytes of a trace, appended line by line, so that a masked value in a line is never split."""

    def __init__(self, masked: Sequence[str]) -> None:
        self._masked = sorted((value.encode() for value in masked), key=len, reverse=True)
        self._lock = threading.Lock()
        self._content = bytearray()
        self._line = b""

    def write(self, data: bytes) -> None:
        with self._lock:
            lines, newline, self._line = (self._line + data).rpartition(b"\n")
            self._content += self._mask(lines + newline)

    def write_line(self, text: str) -> None:
        self.write(text.encode() + b"\n")

    def flush(self) -> None:
        """Append the last line even without a newline."""
        with self._lock:
            self._content += self._mask(self._line)
            self._line = b""

    def read(self, start: int) -> bytes:
        with self._lock:
            return bytes(self._content[start : start + _MAX_PATCH_SIZE])

    def output(self) -> dict[str, Any]:
        with self._lock:
            return {"checksum": f"crc32:{zlib.crc32(self._content):08x}", "bytesize": len(self._content)}

    def _mask(self, data: bytes) -> bytes:
        for value in self._masked:
            data = data.replace(value, _MASK)
        return data


class Reporter:
    """Sends the trace while the job runs, and the final state when it has ended."""

    def __init__(self, client: Client, job: int, token: str, trace: Trace, stop: Stop) -> None:
        self._client, self._job, self._token, self._trace, self._stop = client, job, token, trace, stop
        self._sent = 0
        self._interval = _INTERVAL
        self._reported = time.monotonic()
        self._ended = threading.Event()
        self._rejected = False
        self._thread = threading.Thread(target=self._watch, name=f"trace-{job}", daemon=True)

    def start(self) -> bool:
        """Report the job as running; False when GitLab rejects the update (canceled or deleted job)."""
        self._update("running")
        if not self._rejected:
            self._thread.start()
        return not self._rejected

    def finish(self, state: str, reason: str = "", exit_code: int = 0) -> None:
        """Send the rest of the trace, then the state, with retries while the server is unreachable or answers 202."""
        self._ended.set()
        self._thread.join()
        self._trace.flush()
        self._interval = _INTERVAL
        for attempt in range(_FINAL_ATTEMPTS):
            while not self._rejected and self._trace.read(self._sent):
                if not self._patch():
                    break
            else:
                if self._rejected or self._update(state, reason, exit_code) == 200:
                    return
            time.sleep(min(attempt + 1, self._interval))
        _LOG.error("Submitting job to coordinator... given up job=%d", self._job)

    def _watch(self) -> None:
        while not self._ended.wait(self._interval) and not self._rejected:
            self._patch()
            if time.monotonic() - self._reported > _TOUCH_INTERVAL and not self._rejected:
                self._update("running")

    def _patch(self) -> bool:
        """Send the next chunk; False when it has to be sent again."""
        content = self._trace.read(self._sent)
        if not content:
            return True
        try:
            reply = self._client.patch_trace(self._job, self._token, self._sent, content)
        except RequestFailed as error:
            _LOG.error("Appending trace to coordinator... error job=%d: %s", self._job, error)
            return False
        self._apply_reply(reply)
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
        except RequestFailed as error:
            _LOG.warning("Submitting job to coordinator... failed job=%d: %s", self._job, error)
            return 0
        self._apply_reply(reply)
        if reply.status == 412:
            self._sent = 0
        _LOG.info("Submitting job to coordinator... status=%d job=%d state=%s", reply.status, self._job, state)
        return reply.status

    def _apply_reply(self, reply: Reply) -> None:
        self._reported = time.monotonic()
        interval = reply.headers.get("x-gitlab-trace-update-interval", "")
        if interval.isdecimal() and int(interval) > 0:
            self._interval = min(float(interval), _MAX_INTERVAL)
        status = reply.headers.get("job-status")
        if reply.status in (403, 404) or status in ("canceled", "failed"):
            self._rejected = True
        if self._rejected or status == "canceling":
            self._stop.set(Cause.CANCELED)
