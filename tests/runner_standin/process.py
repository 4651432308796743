# SPDX-License-Identifier: GPL-3.0-or-later
"""`gitlab-runner run`: requests and runs jobs until a signal ends the process."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import logging
import os
import signal
import threading
import time
from pathlib import Path

from runner_standin import config, metrics, rotation, system_id
from runner_standin.config import Config, ConfigError, Runner
from runner_standin.execution import EXECUTORS, execute
from runner_standin.gitlab import Client, RequestFailed
from runner_standin.health import Health
from runner_standin.jobs import Job
from runner_standin.signals import Signals
from runner_standin.stop import Cause, Stop

RELOAD_INTERVAL = 3.0  # seconds between two checks of the file's modification time

_LOG = logging.getLogger(__name__)


class Fatal(Exception):
    """An error that ends the process at once."""


class Process:
    """Requests jobs for each entry of config.toml and runs them in threads; one lock guards the shared state."""

    def __init__(self, path: Path, working_directory: Path, user: str | None, signals: Signals) -> None:
        self._path, self._working_directory, self._user, self._signals = path, working_directory, user, signals
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._config = Config({}, (), 0, ())
        self._system_id = ""
        self._health = Health()
        self._accepting = True
        self._aborting = False
        self._last_update: dict[str, str] = {}
        self._jobs: dict[str, int] = collections.Counter()  # token -> requests and jobs in progress
        self._requesting: set[str] = set()
        self._stops: set[Stop] = set()
        self._slots: dict[tuple[str, int], set[int]] = collections.defaultdict(set)  # token, project -> numbers in use

    def run(self) -> int:
        """Run until a signal ends the process; return the exit code. Raises Fatal."""
        try:
            self._load()
        except ConfigError as error:
            raise Fatal(f"Failed to load config: {error}") from error
        self._system_id = system_id.load(self._path.parent)
        self._serve_metrics()
        feeder = threading.Thread(target=self._feed_runners, name="feeder", daemon=True)
        feeder.start()
        received = self._watch()
        with self._lock:
            self._accepting = False
        if received == signal.SIGQUIT:
            _LOG.warning("Starting graceful shutdown, waiting for builds to finish StopSignal=quit")
            if self._wait_for_jobs(None):
                return 0
        return self._abort()

    def _serve_metrics(self) -> None:
        address = os.environ.get("LISTEN_ADDRESS") or self._config.document.get("listen_address")
        if address:
            try:
                metrics.serve(str(address))
            except OSError as error:
                raise Fatal(f"Failed to create listener for metrics server: {error}") from error

    def _watch(self) -> signal.Signals:
        """Reload the file and rotate tokens when due; return the signal that ends the process."""
        while True:
            self._rotate()
            received = self._signals.wait(RELOAD_INTERVAL)
            if received is None:
                self._check_file()
            elif received == signal.SIGHUP:
                self._reload()
            else:
                return received

    def _check_file(self) -> None:
        try:
            modified_ns = self._path.stat().st_mtime_ns
        except OSError as error:
            _LOG.error("Failed to load config: %s", error)
            return
        if modified_ns > self._config.modified_ns:
            self._reload(modified_ns)

    def _reload(self, modified_ns: int = 0) -> None:
        try:
            self._load()
        except ConfigError as error:
            _LOG.error("Failed to load config: %s", error)
            if modified_ns:  # do not load the same invalid file again
                self._config = dataclasses.replace(self._config, modified_ns=modified_ns)

    def _load(self) -> None:
        loaded = config.load(self._path)
        if loaded.concurrent < 1:
            raise Fatal("Concurrent is less than 1 - no jobs will be processed")
        level = str(loaded.document.get("log_level") or "info").upper()
        logging.getLogger().setLevel(level if level in logging.getLevelNamesMapping() else "INFO")
        with self._lock:
            self._config = loaded
            self._health = Health()
        _LOG.info("Configuration loaded runners=%d", len(loaded.runners))
        for runner in loaded.runners:
            if not runner.token:
                _LOG.warning("Runner token is empty, this runner will be skipped runner_name=%s", runner.name)

    def _rotate(self) -> None:
        due = rotation.due(self._config)
        if due is not None and rotation.rotate(self._path, due, self._system_id):
            self._reload()

    def _feed_runners(self) -> None:
        while self._accepting:
            current = self._config
            interval = current.check_interval / max(1, len(current.runners))
            for runner in current.runners:
                self._feed_runner(runner)
                time.sleep(interval)
                if not self._accepting or self._config is not current:
                    break
            if not current.runners:
                time.sleep(interval)

    def _feed_runner(self, runner: Runner) -> None:
        """Request a job for this entry if `concurrent`, `limit` and its health permit another."""
        if not runner.token or not self._health.is_healthy(runner):
            return
        if runner.executor not in EXECUTORS:
            _LOG.error("Executor %r is not known runner=%s", runner.executor, runner.short_token)
            self._health.record(runner, False)
            return
        with self._lock:
            full = sum(self._jobs.values()) >= self._config.concurrent
            limited = 0 < runner.limit <= self._jobs[runner.token]
            if not self._accepting or full or limited or runner.token in self._requesting:
                return
            self._jobs[runner.token] += 1
            self._requesting.add(runner.token)
        name = f"runner-{runner.short_token}"
        threading.Thread(target=self._process_runner, args=(runner,), name=name, daemon=True).start()

    def _process_runner(self, runner: Runner) -> None:
        try:
            client = Client(runner, self._system_id)
            try:
                job = self._request_job(runner, client)
            finally:
                with self._lock:
                    self._requesting.discard(runner.token)
            if job is not None:
                self._execute(job, runner, client)
        finally:
            with self._lock:
                self._jobs[runner.token] -= 1
                self._idle.notify_all()

    def _request_job(self, runner: Runner, client: Client) -> Job | None:
        health = self._health
        try:
            reply = client.request_job(self._last_update.get(runner.token, ""))
            job = Job.from_reply(reply.json()) if reply.status == 201 else None
        except (RequestFailed, KeyError) as error:
            _LOG.error("Checking for jobs... client error runner=%s: %s", runner.short_token, error)
            health.record(runner, False)
            return None
        health.record(runner, reply.status != 403)
        self._last_update[runner.token] = reply.headers.get("x-gitlab-last-update", "")
        if job is not None:
            _LOG.info("Checking for jobs... received job=%d runner=%s", job.id, runner.short_token)
        elif reply.status == 403:
            _LOG.error("Checking for jobs... forbidden runner=%s", runner.short_token)
        elif reply.status != 204:
            _LOG.warning("Checking for jobs... failed status=%d runner=%s", reply.status, runner.short_token)
        return job

    def _execute(self, job: Job, runner: Runner, client: Client) -> None:
        stop = Stop(job.timeout)
        with self._lock:
            slots = self._slots[runner.token, job.project_id]
            number = next(number for number in itertools.count() if number not in slots)
            slots.add(number)
            self._stops.add(stop)
            if self._aborting:  # requested before the signal, received after it
                stop.set(Cause.SHUTDOWN)
        try:
            self._feed_runner(runner)  # at once: more jobs may be pending
            execute(job.in_slot(number), runner, client, stop, self._working_directory, self._user)
        finally:
            with self._lock:
                self._stops.discard(stop)
                slots.discard(number)

    def _wait_for_jobs(self, timeout: float | None) -> bool:
        """Return True when no job is left, False after `timeout` seconds or another terminating signal."""
        end = None if timeout is None else time.monotonic() + timeout
        while end is None or time.monotonic() < end:
            with self._lock:
                if not sum(self._jobs.values()):
                    return True
                self._idle.wait(0.2)
            if self._signals.wait(0) not in (None, signal.SIGHUP, signal.SIGQUIT):
                return False
        return False

    def _abort(self) -> int:
        _LOG.warning("Starting forceful shutdown shutdown-timeout=%gs", self._config.shutdown_timeout)
        with self._lock:
            self._aborting = True
            for stop in self._stops:
                stop.set(Cause.SHUTDOWN)
        return 0 if self._wait_for_jobs(self._config.shutdown_timeout) else 1
