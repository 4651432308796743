# SPDX-License-Identifier: GPL-3.0-or-later
"""A runner process against the fake GitLab: the stand-in, and the real program where PATH has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fake_gitlab
import pytest
from fake_gitlab import FakeGitLab
from fake_gitlab.namespaces import Project
from fake_gitlab.runners import Runner
from fake_gitlab.server import Server
from standin_pi import Pi
from standin_programs import PROGRAMS, installed


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> list[str]:
    return installed(request.param)


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


@pytest.fixture
def pi(program: list[str], tmp_path: Path, server: Server) -> Iterator[Pi]:
    pi = Pi(program, tmp_path, server.url)
    yield pi
    pi.stop()
