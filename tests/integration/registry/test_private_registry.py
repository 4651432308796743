# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry with a private CA and a login: images of jobs and of GitLab Runner come from it, and no secret leaks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from drawing import takes
from fake_gitlab import tls
from images import runner_image
from integration.scenarios import only_in
from lab.fleet import JOB_ENDS, GitLab, Lab, Play
from lab.images import lab_images
from lab.private_registry import PASSWORD, REGISTRY, USERNAME, start_private_registry, stop_private_registry
from testinfra.host import Host

pytestmark = [only_in("default"), takes(150, "private registry"), pytest.mark.timeout(900)]

PI = "pi-02"
LOGIN = {REGISTRY: {"username": USERNAME, "password": PASSWORD}}
RUNNER = {
    "name": "private",
    "gitlab": {"tag_list": [PI, "private"]},
    "config": {"docker": {"image": f"{REGISTRY}/job:1", "pull_policy": "always", "allowed_pull_policies": ["always"]}},
}
CREDENTIALS = "/etc/gitlab-runner/.registry-credentials/.docker/config.json"
CERTIFICATE = f"/etc/docker/certs.d/{REGISTRY}/ca.crt"
CONTAINER = "$(docker ps -q --filter name=gitlab-runner)"


class Fleet:
    """One Pi of the scenario, with one runner, whose images are in the registry."""

    def __init__(self, lab: Lab, ca: str) -> None:
        self.lab, self.ca = lab, ca

    def play(self, *arguments: str, **settings: Any) -> Play:
        wanted = {
            "docker_registry_ca_files": {REGISTRY: self.ca},
            "gitlab_runner_registry_credentials": LOGIN,
            "gitlab_runner_runners": [RUNNER],
            **settings,
        }
        return self.lab.play("--limit", PI, "-e", json.dumps(wanted), *arguments)

    def job(self, *script: str) -> dict[str, Any]:
        return self.lab.gitlab.run_job(script=list(script), tag_list=[PI, "private"])


@pytest.fixture(scope="module")
def pi(pis: dict[str, Host]) -> Host:
    return pis[PI]


@pytest.fixture(scope="module")
def fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("registry")
    files = tls.make(folder, [REGISTRY.split(":")[0]])
    job_image = next(image.tag for image in lab_images() if image.variable == "lab_job_image")
    start_private_registry(lab.folder.name, folder, {"job:1": job_image, "gitlab-runner:1": runner_image()})
    assert files.ca
    fleet = Fleet(lab, files.ca)
    yield fleet
    back = {
        "docker_registry_ca_files": {REGISTRY: None},
        "gitlab_runner_registry_credentials": {},
        "gitlab_runner_config_options": {"purge": True},
    }
    play = lab.play("--limit", PI, "-e", json.dumps(back))
    stop_private_registry(lab.folder.name)
    assert play.code == 0, play.output
    assert lab.play("--limit", PI).recap[PI]["changed"] == 0


def started(pi: Host, what: str) -> str:
    """Since when the engine (`docker`), or GitLab Runner, runs."""
    command = {
        "docker": "systemctl show -p ActiveEnterTimestampMonotonic --value docker.service",
        "gitlab-runner": f"docker inspect -f '{{{{.State.StartedAt}}}}' {CONTAINER}",
    }
    return str(pi.check_output(command[what]))


def test_a_job_with_an_image_of_the_registry(fleet: Fleet, pi: Host) -> None:
    engine = started(pi, "docker")
    play = fleet.play("-vvv", "--diff")
    assert play.code == 0, play.output
    secrets = (PASSWORD, base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode())
    assert [secret for secret in secrets if secret in play.output] == []
    assert started(pi, "docker") == engine
    assert pi.check_output(f"stat -c %a {CREDENTIALS} {CERTIFICATE}").split() == ["600", "644"]
    job = fleet.job("env", "ls -a / ~")
    assert job["status"] == "success", job["trace"]
    assert "DOCKER_AUTH_CONFIG" not in job["trace"]


def test_an_unchanged_run(fleet: Fleet, lab: Lab) -> None:
    again = fleet.play()
    assert again.recap[PI]["changed"] == 0, again.output
    there = [entry for entry in again.executions if entry["host"] in (lab.addresses[PI], PI)]
    assert len([entry for entry in there if entry["transport"] != "local"]) == 2
    assert fleet.play("--check", "--diff").recap[PI]["changed"] == 0


def test_images_are_pulled_before_a_job_needs_them(fleet: Fleet, lab: Lab, pi: Host) -> None:
    image, missing = RUNNER["config"]["docker"]["image"], f"{REGISTRY}/gone:1"
    pi.check_output(f"docker image rm --force {image}")
    both = [{**RUNNER, "warm_up_images": [image, missing]}]
    check = fleet.play("--check", gitlab_runner_runners=both)
    assert f"Would pull {image}, {missing} on {PI}" in " ".join(check.output.split()), check.output
    play = fleet.play("-vvv", gitlab_runner_runners=both)
    assert (play.code, play.recap[PI]["changed"]) == (0, 1), play.output
    assert PASSWORD not in play.output
    assert f"{PI}: {missing} cannot be pulled, and a job that needs it will" in " ".join(play.output.split())
    pi.check_output(f"docker image inspect {image}")
    again = fleet.play(gitlab_runner_runners=[{**RUNNER, "warm_up_images": [image]}])
    assert again.recap[PI]["changed"] == 0, again.output
    there = [entry for entry in again.executions if entry["host"] in (lab.addresses[PI], PI)]
    assert len([entry for entry in there if entry["transport"] != "local"]) == 2


def test_another_password_restarts_nothing(fleet: Fleet, gitlab: GitLab, pi: Host) -> None:
    before = started(pi, "gitlab-runner")
    number = gitlab.call("POST", "/jobs", script=["sleep 12", "echo ended"], tag_list=[PI, "private"])["id"]
    gitlab.wait_for_job(number, ["running"], timeout=30)
    wrong = {REGISTRY: {"username": USERNAME, "password": "another"}}
    assert fleet.play(gitlab_runner_registry_credentials=wrong).recap[PI]["changed"] == 1
    assert gitlab.wait_for_job(number, JOB_ENDS)["status"] == "success"
    job = fleet.job("true")
    assert (job["status"], REGISTRY in job["trace"]) == ("failed", True), job["trace"]
    assert fleet.play().recap[PI]["changed"] == 1
    assert fleet.job("true")["status"] == "success"
    assert started(pi, "gitlab-runner") == before


def test_gitlab_runner_itself_comes_from_the_registry(fleet: Fleet, pi: Host) -> None:
    play = fleet.play(gitlab_runner_image=f"{REGISTRY}/gitlab-runner:1")
    assert play.code == 0, play.output
    assert pi.check_output(f"docker inspect -f '{{{{.Config.Image}}}}' {CONTAINER}") == f"{REGISTRY}/gitlab-runner:1"
    assert fleet.job("true")["status"] == "success"


def test_what_is_taken_back_is_gone(fleet: Fleet, pi: Host) -> None:
    play = fleet.play(docker_registry_ca_files={REGISTRY: None}, gitlab_runner_registry_credentials={})
    assert play.code == 0, play.output
    assert [path for path in (CREDENTIALS, CERTIFICATE) if pi.file(path).exists] == []
    assert "HOME" not in pi.check_output(f"docker inspect -f '{{{{json .Config.Env}}}}' {CONTAINER}")
    assert fleet.job("true")["status"] == "failed"
