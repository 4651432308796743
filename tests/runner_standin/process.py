# SPDX-License-Identifier: GPL-3.0-or-later
"""`gitlab-runner run`: the process that asks for jobs until it is told to stop."""

from __future__ import annotations

import collections
import dataclasses
import logging
import signal
import threading
import time
from pathlib import Path

from runner_standin import config, rotation, system_id
from runner_standin.config import Config, ConfigError, Runner
from runner_standin.gitlab import Client, Unreachable
from runner_standin.health import Health
from runner_standin.jobs import Job
from runner_standin.signals import Signals
from runner_standin.stopping import Cause, Stop
from runner_standin.work import EXECUTORS, execute

RELOAD_INTERVAL = 3.0  # seconds between two looks at the file

_LOG = logging.getLogger(__name__)


class Fatal(Exception):
    """The process ends at once with an error."""


class Process:
    """Feeds the entries of config.toml to jobs; all that changes is guarded by one lock."""

    def __init__(self, path: Path, working_directory: Path, user: str | None, signals: Signals) -> None:
        self._path, self._working_directory, self._user, self._signals = path, working_directory, user, signals
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._config = Config({}, (), 0, ())
        self._system_id = ""
        self._health = Health()
        self._feeding = True
        self._aborting = False
        self._last_update: dict[str, str] = {}
        self._jobs: dict[str, int] = collections.Counter()  # by token: requests and jobs under way
        self._requesting: set[str] = set()
        self._stops: set[Stop] = set()

    def run(self) -> int:
        """Work until a signal says stop; return the exit code. Raises Fatal."""
        try:
            self._load()
        except ConfigError as error:
            raise Fatal(f"Failed to load config: {error}") from error
        self._system_id = system_id.load(self._path.parent)
        feeder = threading.Thread(target=self._feed, name="feeder", daemon=True)
        feeder.start()
        received = self._watch()
        with self._lock:
            self._feeding = False
        if received == signal.SIGQUIT:
            _LOG.warning("Starting graceful shutdown, waiting for builds to finish StopSignal=quit")
            if self._wait_for_jobs(None):
                return 0
        return self._abort()

    def _watch(self) -> signal.Signals:
        """Reload and rotate as it becomes due; return the signal that ends the process."""
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
            if modified_ns:  # this version is not tried again
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

    def _feed(self) -> None:
        while self._feeding:
            current = self._config
            interval = current.check_interval / max(1, len(current.runners))
            for runner in current.runners:
                self._offer(runner)
                time.sleep(interval)
                if not self._feeding or self._config is not current:
                    break
            if not current.runners:
                time.sleep(interval)

    def _offer(self, runner: Runner) -> None:
        """Ask for a job of this entry if `concurrent`, `limit` and its health allow one more."""
        if not runner.token or not self._health.is_good(runner):
            return
        if runner.executor not in EXECUTORS:
            _LOG.error("Executor %r is not known runner=%s", runner.executor, runner.short)
            self._health.mark(runner, False)
            return
        with self._lock:
            full = sum(self._jobs.values()) >= self._config.concurrent
            limited = 0 < runner.limit <= self._jobs[runner.token]
            if not self._feeding or full or limited or runner.token in self._requesting:
                return
            self._jobs[runner.token] += 1
            self._requesting.add(runner.token)
        threading.Thread(target=self._work, args=(runner,), name=f"runner-{runner.short}", daemon=True).start()

    def _work(self, runner: Runner) -> None:
        try:
            client = Client(runner, self._system_id)
            try:
                job = self._request(runner, client)
            finally:
                with self._lock:
                    self._requesting.discard(runner.token)
            if job is not None:
                self._execute(job, runner, client)
        finally:
            with self._lock:
                self._jobs[runner.token] -= 1
                self._idle.notify_all()

    def _request(self, runner: Runner, client: Client) -> Job | None:
        health = self._health
        try:
            reply = client.request_job(self._last_update.get(runner.token, ""))
            job = Job.from_reply(reply.json()) if reply.status == 201 else None
        except (Unreachable, KeyError) as error:
            _LOG.error("Checking for jobs... client error runner=%s: %s", runner.short, error)
            health.mark(runner, False)
            return None
        health.mark(runner, reply.status != 403)
        self._last_update[runner.token] = reply.headers.get("x-gitlab-last-update", "")
        if job is not None:
            _LOG.info("Checking for jobs... received job=%d runner=%s", job.id, runner.short)
        elif reply.status == 403:
            _LOG.error("Checking for jobs... forbidden runner=%s", runner.short)
        elif reply.status != 204:
            _LOG.warning("Checking for jobs... failed status=%d runner=%s", reply.status, runner.short)
        return job

    def _execute(self, job: Job, runner: Runner, client: Client) -> None:
        stop = Stop(job.timeout)
        with self._lock:
            self._stops.add(stop)
            if self._aborting:  # its request was under way when the signal came
                stop.set(Cause.SHUTDOWN)
        try:
            self._offer(runner)  # there may be more where this one came from
            execute(job, runner, client, stop, self._working_directory, self._user)
        finally:
            with self._lock:
                self._stops.discard(stop)

    def _wait_for_jobs(self, timeout: float | None) -> bool:
        """Return True when no job is left, False when the time is over or another signal ended the waiting."""
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
