# SPDX-License-Identifier: GPL-3.0-or-later
"""A runner process against the fake GitLab: the stand-in, and the real program where PATH has it."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fake_gitlab
import pytest
from fake_gitlab import FakeGitLab
from fake_gitlab.namespaces import Project
from fake_gitlab.runners import Runner
from fake_gitlab.server import Server

_TESTS = Path(__file__).parents[2]
_PROGRAMS = {
    "stand-in": [sys.executable, "-m", "runner_standin"],
    "gitlab-runner": [shutil.which("gitlab-runner") or ""],
}


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    """Return once the condition holds; fail when the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


@pytest.fixture(params=_PROGRAMS)
def program(request: pytest.FixtureRequest) -> list[str]:
    command = _PROGRAMS[request.param]
    if not command[0]:
        pytest.skip("no gitlab-runner on PATH")
    return command


@pytest.fixture
def gitlab() -> FakeGitLab:
    return FakeGitLab()


@pytest.fixture
def server(gitlab: FakeGitLab) -> Iterator[Server]:
    with fake_gitlab.serving(gitlab) as server:
        yield server


@pytest.fixture
def project(gitlab: FakeGitLab) -> Project:
    return gitlab.add_project("pis/firmware", project_id=42)


@pytest.fixture
def runner(gitlab: FakeGitLab, project: Project) -> Runner:
    return gitlab.create_runner("project_type", owner=project, run_untagged=True)


@dataclasses.dataclass
class Pi:
    """A folder with config.toml, and the program that runs on it."""

    program: list[str]
    folder: Path
    url: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def said(self) -> str:
        return (self.folder / "log").read_text()

    def entry(self, token: str, extra: str = "", executor: str = "shell") -> str:
        head = f'[[runners]]\nname = "pi"\nurl = "{self.url}"\nid = 1\ntoken = "{token}"\n'
        return f'{head}executor = "{executor}"\nbuilds_dir = "{self.folder}/builds"\n{extra}'

    def write(self, *entries: str, settings: str = "concurrent = 2\n") -> None:
        """Replace config.toml as the collection does: by a rename, with a newer modification time."""
        part = self.folder / "part"
        part.write_text(f"{settings}check_interval = 1\n{''.join(entries)}")
        part.chmod(0o600)
        part.rename(self.config)

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
        command = [*self.program, "run", "--config", str(self.config), "--working-directory", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, seconds: float = 10) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> None:
        """End the process whatever it does, and show what it said."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.process is not None:
            print(self.said)


@pytest.fixture
def pi(program: list[str], tmp_path: Path, server: Server) -> Iterator[Pi]:
    pi = Pi(program, tmp_path, server.url)
    yield pi
    pi.stop()
