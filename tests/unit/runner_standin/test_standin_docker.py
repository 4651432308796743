# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker executor, where a local engine answers and has the lab's images (`python -m images` makes them)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_gitlab import FakeGitLab
from fake_gitlab.namespaces import Project
from fake_gitlab.runners import Runner
from runner_standin import config
from runner_standin.engine import Engine, EngineError
from standin_pi import Pi, eventually

_IMAGE = "pifleet/job:busybox"
_HELPER = "pifleet/gitlab-runner-helper:local"
_SETTINGS = f"""
[runners.docker]
image = "{_IMAGE}"
helper_image = "{_HELPER}"
pull_policy = "never"
"""
_NOTHING_KEPT = f"{_SETTINGS}disable_cache = true\n"
_VOLUME = f'{_SETTINGS}volumes = ["/cache"]\n'


@pytest.fixture(autouse=True)
def engine(program: list[str]) -> Engine:
    engine = Engine()
    needed = [_IMAGE] if "runner_standin" in program else [_IMAGE, _HELPER]
    try:
        missing = [image for image in needed if not engine.has_image(image)]
    except EngineError as error:
        pytest.skip(f"no Docker engine: {error}")
    if missing:
        pytest.skip(f"the Docker engine has no {' and no '.join(missing)}")
    return engine


def test_a_job_runs_in_a_container(gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi) -> None:
    script = ["echo in $(hostname)", "test -f /.dockerenv", "echo kept > kept", "echo $CI_PROJECT_DIR"]
    job = gitlab.add_job(project, script, after_script=["cat kept"])
    pi.write(pi.entry(runner.token, _NOTHING_KEPT, executor="docker"))
    pi.start()
    eventually(lambda: job.finished_at, 60)
    assert job.status == "success", job.log
    printed = [line.split()[-1] for line in job.log.splitlines() if line.split()]
    assert f"{pi.folder}/builds/pis/firmware" in printed
    assert "kept" in printed  # what the script wrote, read by after_script


def test_a_missing_image_is_a_runner_system_failure(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi
) -> None:
    job = gitlab.add_job(project, ["true"], image="pifleet/nowhere:1")
    pi.write(pi.entry(runner.token, _NOTHING_KEPT, executor="docker"))
    pi.start()
    eventually(lambda: job.finished_at, 60)
    assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
    assert "pifleet/nowhere:1" in job.log


@pytest.fixture
def volumes(runner: Runner, tmp_path: Path) -> Iterator[None]:
    """Removes the volumes of the runner at the end."""
    yield
    short = config.Runner({"token": runner.token}, tmp_path).short_token
    for which in (f"name=runner-{short.lower()}", f"label=com.gitlab.gitlab-runner.runner.id={short}"):
        listed = subprocess.run(["docker", "volume", "ls", "-q", "--filter", which], capture_output=True, check=True)
        for name in listed.stdout.decode().split():
            subprocess.run(["docker", "volume", "rm", name], check=True)


@pytest.mark.usefixtures("volumes")
def test_each_concurrent_job_has_a_volume_of_its_own(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi
) -> None:
    """What docs/jobs.md says of `volumes: [/cache]` with `concurrent` greater than 1."""
    script = ["echo found: $(ls /cache)", "touch /cache/by-$CI_JOB_ID", "sleep 6"]
    pi.write(pi.entry(runner.token, _VOLUME, executor="docker"))
    pi.start()
    one, two = [gitlab.add_job(project, script) for _ in range(2)]
    for job in (one, two):
        eventually(lambda job=job: job.finished_at, 60)  # type: ignore[misc]
        assert job.status == "success", job.log
        assert "found: by-" not in job.log
    assert max(job.started_at for job in (one, two)) < min(job.finished_at for job in (one, two)), "one after the other"
    alone = gitlab.add_job(project, script)
    eventually(lambda: alone.finished_at, 60)
    assert sum(f"found: by-{job.id}" in alone.log for job in (one, two)) == 1, alone.log


def test_a_service_answers_under_its_names_before_the_job_begins(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi
) -> None:
    service = {
        "name": _IMAGE,
        "alias": "web",
        "command": ["sh", "-c", "sleep 1; echo $SAID of $KIND > index.html; exec httpd -f -p 8080"],
        "variables": {"SAID": "hello", "HEALTHCHECK_TCP_PORT": "8080"},
    }
    script = ["wget -q -O - http://web:8080/index.html", "getent hosts pifleet-job || grep pifleet-job /etc/hosts"]
    job = gitlab.add_job(project, script, services=[service], variables={"KIND": "a service"})
    pi.write(pi.entry(runner.token, _NOTHING_KEPT, executor="docker"))
    pi.start()
    eventually(lambda: job.finished_at, 60)
    assert job.status == "success", job.log
    assert "hello of a service" in job.log
    assert "probably didn't start" not in job.log


def test_a_service_that_does_not_answer_is_a_warning(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi
) -> None:
    service = {"name": _IMAGE, "command": ["sleep", "60"], "variables": {"HEALTHCHECK_TCP_PORT": "8080"}}
    job = gitlab.add_job(project, ["echo ran"], services=[service])
    pi.write(pi.entry(runner.token, f"{_NOTHING_KEPT}wait_for_services_timeout = 2\n", executor="docker"))
    pi.start()
    eventually(lambda: job.finished_at, 60)
    assert job.status == "success", job.log
    assert "probably didn't start properly" in job.log


def test_services_that_are_not_allowed(gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi) -> None:
    job = gitlab.add_job(project, ["true"], services=[_IMAGE])
    pi.write(pi.entry(runner.token, f'{_NOTHING_KEPT}allowed_services = ["docker:*"]\n', executor="docker"))
    pi.start()
    eventually(lambda: job.finished_at, 60)
    assert job.status == "failed", job.log
    assert "not present on list of allowed services" in job.log


@pytest.mark.parametrize(("patterns", "privileged"), [(["pifleet/*"], True), (["docker:*", "job:*"], False)])
def test_only_services_of_the_list_are_privileged(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi, patterns: list[str], privileged: bool
) -> None:
    command = [
        "sh",
        "-c",
        "mount -o remount,ro /sys && echo may >index.html || echo may not >index.html; exec httpd -f -p 8080",
    ]
    service = {"name": _IMAGE, "alias": "web", "command": command, "variables": {"HEALTHCHECK_TCP_PORT": "8080"}}
    job = gitlab.add_job(project, ["wget -q -O - http://web:8080/index.html"], services=[service])
    settings = f"{_NOTHING_KEPT}services_privileged = true\nallowed_privileged_services = {json.dumps(patterns)}\n"
    pi.write(pi.entry(runner.token, settings, executor="docker"))
    pi.start()
    eventually(lambda: job.finished_at, 60)
    # An engine that lacks a capability itself may refuse a privileged container.
    refused = job.status == "failed" and "unable to apply caps" in job.log
    assert refused is False or privileged, job.log
    assert refused or ("may not" not in job.log) is privileged, job.log
