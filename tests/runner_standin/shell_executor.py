# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell executor: each step of a job runs in its own process group on this machine."""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import select
import shutil
import signal
import subprocess
import tarfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runner_standin.config import Runner
from runner_standin.jobs import Job, Step
from runner_standin.script import render
from runner_standin.stop import Stop

_POLL_INTERVAL = 0.2
_GRACE_PERIOD = 5.0


class ShellExecutor:
    """Runs the steps of one job in `builds_dir` of the entry, else in `builds` in the working directory."""

    def __init__(self, runner: Runner, job: Job, working_directory: Path, user: str | None) -> None:
        self._runner, self._job = runner, job
        self._account = pwd.getpwnam(user) if user and os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        builds = Path(runner.settings.get("builds_dir") or working_directory / "builds")
        self._builds = builds / runner.short_token / str(job.id)
        self.description = "Using Shell executor..."

    def __enter__(self) -> ShellExecutor:
        self._builds.mkdir(parents=True, exist_ok=True)
        os.chown(self._builds, self._account.pw_uid, self._account.pw_gid)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._builds, ignore_errors=True)

    def run(self, step: Step, write: Callable[[bytes], None], stop: Stop) -> int:
        """Run one step and return its exit code. Raises JobStopped."""
        directory = str(self._directory)
        shell = self._runner.settings.get("shell") or ("bash" if shutil.which("bash") else "sh")
        process = subprocess.Popen(
            [shell],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._builds,
            env=self._environment(directory),
            start_new_session=True,
            **self._user_and_groups(),
        )
        feeder = threading.Thread(target=_write_stdin, args=(process, render(self._job, step, directory)), daemon=True)
        feeder.start()
        try:
            self._copy(process, write, stop)
            return process.wait()
        finally:
            _end(process)

    def pack(self, paths: Sequence[str]) -> bytes:
        """As Files has it."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path in paths:
                if (self._directory / path).exists():
                    archive.add(self._directory / path, path)
        return packed.getvalue()

    def unpack(self, archive: bytes) -> None:
        """As Files has it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(archive)) as source:
            source.extractall(self._directory, filter="tar")
        for path in self._builds.rglob("*"):
            os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    @property
    def _directory(self) -> Path:
        return self._builds / self._job.project_path

    def _environment(self, directory: str) -> dict[str, str]:
        account = self._account
        path = os.environ.get("PATH", os.defpath)
        login = {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name, "PATH": path}
        return {**login, **self._runner.environment, **self._job.variables, "CI_PROJECT_DIR": directory}

    def _user_and_groups(self) -> dict[str, Any]:
        account = self._account
        if account.pw_uid == os.geteuid():
            return {}
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}

    @staticmethod
    def _copy(process: subprocess.Popen[bytes], write: Callable[[bytes], None], stop: Stop) -> None:
        assert process.stdout is not None
        while True:
            stop.check()
            if select.select([process.stdout], [], [], _POLL_INTERVAL)[0]:
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    return
                write(data)


def _write_stdin(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(text.encode())


def _end(process: subprocess.Popen[bytes]) -> None:
    """Terminate the process group, with SIGKILL after the grace period."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_PERIOD)
            break
    if process.stdout is not None:
        process.stdout.close()
