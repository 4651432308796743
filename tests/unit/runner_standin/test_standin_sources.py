# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the sources of a job come from: from where GitLab says, or from clone_url of the runner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_gitlab import FakeGitLab
from fake_gitlab.jobs import Job
from fake_gitlab.namespaces import Project
from fake_gitlab.runners import Runner
from lab.git_server import Repository, serving_repository
from standin_pi import Pi, eventually


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with serving_repository("127.0.0.1", "git/pis/firmware", tmp_path / "repository") as repository:
        yield repository


def run(gitlab: FakeGitLab, project: Project, pi: Pi, sha: str) -> Job:
    script = ["cat fetched", "git remote get-url origin"]
    job = gitlab.add_job(project, script, sha=sha, variables={"GIT_STRATEGY": "clone"})
    pi.start()
    eventually(lambda: job.finished_at, 60)
    return job


def test_from_clone_url(gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi, repository: Repository) -> None:
    place = f"127.0.0.1:{repository.port}/git"
    pi.write(pi.entry(runner.token, f'clone_url = "http://{place}"\n'))
    job = run(gitlab, project, pi, repository.sha)
    assert job.status == "success", job.log
    assert "from the repository" in job.log
    assert f"{place}/pis/firmware.git" in job.log  # GitLab Runner shows it with the masked token
    assert set(repository.users) == {f"gitlab-ci-token:{job.token}"}


@pytest.mark.parametrize("clone_url", ["", "127.0.0.1/git"])
def test_a_clone_url_without_a_scheme_is_none(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi, repository: Repository, clone_url: str
) -> None:
    pi.write(pi.entry(runner.token, f'clone_url = "{clone_url}"\n'))
    job = run(gitlab, project, pi, repository.sha)
    assert job.status == "failed"
    assert f"{pi.url}/pis/firmware.git" in job.log
    assert repository.users == []
