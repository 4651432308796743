# SPDX-License-Identifier: GPL-3.0-or-later
"""Each kind of job in docs/jobs.md: its inventory and its .gitlab-ci.yml, as they stand there, on one Pi."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from drawing import takes
from fake_gitlab import tls
from images import docker_in_docker_image, git_job_image, job_image, s3_server_image
from integration.s3_cache import NAME as S3_NAME
from integration.s3_cache import client_settings, s3_cache
from integration.scenarios import only_in
from lab.fleet import Lab
from lab.git_server import serving_repository
from lab.images import lab_images
from lab.private_registry import PASSWORD, REGISTRY, start_private_registry, stop_private_registry
from lab.runner_packages import offer_packages, withdraw_packages
from lab.s3_server import s3_program
from lab.services import REGISTRY_NAME, ensure_registry
from testinfra.host import Host

PI = "pi-02"
PACKAGE = "19.3.0-1"
OWN_IMAGE = "Your own job image"
S3 = "Cache in an S3 bucket"
S3_ON_A_PI = "Cache on one of the Pis"
SERVER_PI = "pi-01"
# What the lab's registry has besides. It is the mirror of Docker Hub for the engine of the service docker:dind.
IMAGES = {"docker:dind": docker_in_docker_image, "library/debian:bookworm": job_image, "job:git": git_job_image}
INTERNAL = "-d 192.168.1.10 -p tcp --dport 80"  # where gitlab.internal of the recipe is
FLEET = Path(__file__).parents[3] / "molecule" / "fleet" / "group_vars" / "pis" / "fleet.yml"
TEXT = (Path(__file__).parents[3] / "docs" / "jobs.md").read_text()
RECIPES = {
    title: [yaml.safe_load(block) for block in blocks]
    for title, section in re.findall(r"^## (.+?)\n(.+?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    if (blocks := re.findall(r"^```yaml (?:inventory|\.gitlab-ci\.yml)\n(.+?)^```", section, re.MULTILINE | re.DOTALL))
}
PLAY = "".join(re.findall(r"^```yaml play\n(.+?)^```", TEXT, re.MULTILINE | re.DOTALL))
DOCKERFILE = "".join(re.findall(r"^```dockerfile\n(.+?)^```", TEXT, re.MULTILINE | re.DOTALL))
pytestmark = [only_in("default"), pytest.mark.timeout(900)]


def test_each_section_has_an_inventory_and_jobs() -> None:
    assert list(RECIPES) == [
        "Docker", "Docker with the engine's socket", "Deploy to a Swarm", "Docker-in-Docker with TLS", "Shell",
        "Private registry",
        OWN_IMAGE, S3, S3_ON_A_PI, "A GitLab with another name inside",
    ]  # fmt: skip
    assert {len(blocks) for blocks in RECIPES.values()} == {2}


@pytest.fixture
def pi(lab: Lab, pis: dict[str, Host], tmp_path: Path) -> Iterator[Host]:
    """Has the lab's images under the names of the documentation; in the end it is again as the scenario says."""
    variables = lab.variables
    ensure_registry(lab.folder.name, {name: tag() for name, tag in IMAGES.items()})
    names = {"debian:bookworm": variables["lab_job_image"], "docker:cli": variables["lab_docker_job_image"]}
    names["docker:dind"] = f"{REGISTRY_NAME}/docker:dind"
    names["buildpack-deps:bookworm-scm"] = f"{REGISTRY_NAME}/job:git"
    for name, image in names.items():
        pis[PI].check_output(f"docker pull --quiet {image} && docker tag {image} {name}")
    yield pis[PI]
    back = {"gitlab_runner_config_options": {"purge": True}, "gitlab_runner_registry_credentials": {}}
    play = lab.play("--limit", PI, "-e", json.dumps({**back, "docker_registry_ca_files": {REGISTRY: None}}))
    assert play.code == 0, play.output
    pis[PI].check_output(f"docker image rm {' '.join(names)}")


@contextmanager
def packages(lab: Lab, _pi: Host, folder: Path) -> Iterator[dict[str, Any]]:
    offer = offer_packages(lab, PI, folder / "packages", [PACKAGE])
    yield {"gitlab_runner_package": {**offer.settings, "version": PACKAGE}}
    withdraw_packages(lab, PI)


@contextmanager
def swarm(_lab: Lab, pi: Host, _folder: Path) -> Iterator[dict[str, Any]]:
    pi.check_output("docker swarm init")
    yield {"job": {"protected": True}}
    pi.check_output("docker stack rm kiosk && docker swarm leave --force")


@contextmanager
def private_registry(lab: Lab, _pi: Host, folder: Path) -> Iterator[dict[str, Any]]:
    files = tls.make(folder, [REGISTRY.split(":")[0]])
    assert files.ca
    beside = lab.folder / "inventory" / "files" / "registry-ca.crt"
    beside.parent.mkdir(exist_ok=True)
    beside.write_text(Path(files.ca).read_text())
    image = next(image.tag for image in lab_images() if image.variable == "lab_job_image")
    start_private_registry(lab.folder.name, folder, {"job:1": image})
    yield {"vault_registry_password": PASSWORD}
    stop_private_registry(lab.folder.name)
    beside.unlink()
    beside.parent.rmdir()


@contextmanager
def dockerfile(lab: Lab, _pi: Host, _folder: Path) -> Iterator[dict[str, Any]]:
    beside = lab.folder / "inventory" / "files"
    (beside / "tools").mkdir(parents=True)
    (beside / "tools" / "Dockerfile").write_text(DOCKERFILE)
    yield {}
    shutil.rmtree(beside)
    gone = [{"name": build["name"], "state": "absent"} for build in RECIPES[OWN_IMAGE][0]["job_images_builds"]]
    removed = lab.play("--limit", PI, "-e", json.dumps({"job_images_builds": gone}), playbook="pifleet.ci.job_images")
    assert removed.code == 0, removed.output


@contextmanager
def bucket(lab: Lab, _pi: Host, folder: Path) -> Iterator[dict[str, Any]]:
    with s3_cache(lab, folder) as settings:
        yield settings


@contextmanager
def bucket_on_a_pi(lab: Lab, _pi: Host, folder: Path) -> Iterator[dict[str, Any]]:
    """The play of the recipe, with its inventory, on another Pi."""
    files = tls.make(folder, [S3_NAME])
    assert files.ca
    keys = {
        **client_settings(lab, folder, files.ca, lab.addresses[SERVER_PI]),
        "vault_s3_cache_private_key": Path(files.key).read_text(),
    }
    ensure_registry(lab.folder.name, {"chrislusf/seaweedfs:4.48": s3_server_image(s3_program())})
    beside = lab.folder / "inventory" / "files" / "s3.crt"
    beside.parent.mkdir(exist_ok=True)
    beside.write_text(Path(files.certificate).read_text())
    playbook = folder / "s3_cache.yml"
    playbook.write_text(PLAY)
    image = {"s3_cache_image": f"{REGISTRY_NAME}/chrislusf/seaweedfs:4.48"}
    variables = {**RECIPES[S3_ON_A_PI][0], **keys, **image}
    play = lab.play("-e", json.dumps(variables), playbook=str(playbook))
    assert play.code == 0, play.output
    yield keys
    gone = {**variables, "s3_cache_state": "absent", "s3_cache_remove_data": True}
    removed = lab.play("-e", json.dumps(gone), playbook=str(playbook))
    assert removed.code == 0, removed.output
    shutil.rmtree(beside.parent)


@contextmanager
def mirror_of_docker_hub(_lab: Lab, pi: Host, _folder: Path) -> Iterator[dict[str, Any]]:
    registry = pi.check_output(f"getent hosts {REGISTRY_NAME.split(':')[0]}").split()[0]
    defaults = yaml.safe_load(FLEET.read_text())["gitlab_runner_defaults"]
    defaults["config"]["environment"] = [f"LAB_REGISTRY_MIRROR=http://{registry}:{REGISTRY_NAME.split(':')[1]}"]
    yield {"gitlab_runner_defaults": defaults}


@contextmanager
def repository_inside(lab: Lab, pi: Host, folder: Path) -> Iterator[dict[str, Any]]:
    machine = urlsplit(lab.variables["gitlab_runner_url"]).hostname or ""
    with serving_repository(machine, "pis/firmware", folder / "repository") as repository:
        rule = f"PREROUTING {INTERNAL} -j DNAT --to {machine}:{repository.port}"
        pi.check_output(f"iptables -t nat -A {rule}")
        yield {"job": {"sha": repository.sha, "variables": {"GIT_STRATEGY": "clone"}}}
        pi.check_output(f"iptables -t nat -D {rule}")
    assert {user.partition(":")[0] for user in repository.users} == {"gitlab-ci-token"}


SURROUNDINGS = {
    "Deploy to a Swarm": swarm,
    "Docker-in-Docker with TLS": mirror_of_docker_hub,
    "Shell": packages,
    "Private registry": private_registry,
    OWN_IMAGE: dockerfile,
    S3: bucket,
    S3_ON_A_PI: bucket_on_a_pi,
    "A GitLab with another name inside": repository_inside,
}
"""What a recipe takes as given. They yield variables that are not in it, as `job` what GitLab says of its jobs."""


@pytest.fixture
def surroundings(lab: Lab, pi: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    title = request.node.callspec.params["title"]
    if title not in SURROUNDINGS:
        yield {}
        return
    with SURROUNDINGS[title](lab, pi, tmp_path) as variables:
        yield variables


@pytest.mark.parametrize("title", [pytest.param(title, marks=takes(90)) for title in RECIPES])
def test_the_recipe_runs(lab: Lab, pi: Host, surroundings: dict[str, Any], title: str) -> None:
    inventory, pipeline = RECIPES[title]
    jobs = surroundings.pop("job", {})
    arguments = ("--limit", PI, "-e", json.dumps({**inventory, **surroundings}))
    playbooks = ["pifleet.ci.site", *(["pifleet.ci.job_images"] if title == OWN_IMAGE else [])]
    for playbook in playbooks:
        play = lab.play(*arguments, playbook=playbook)
        assert play.code == 0, play.output
    for name, job in [*pipeline.items(), *pipeline.items()]:  # the second time beside what the first has left
        options = {**jobs, **{key: job[key] for key in ("image", "services", "variables") if key in job}}
        if "cache" in job:
            options["cache"] = [job["cache"]]
        ended = lab.gitlab.run_job(120, name=name, script=job["script"], tag_list=job["tags"], **options)
        assert ended["status"] == "success", ended["trace"]
    assert pi.check_output("docker ps --all --quiet --filter label=com.gitlab.gitlab-runner.managed=true") == ""
    for playbook in playbooks:
        again = lab.play(*arguments, playbook=playbook)
        assert (again.code, again.recap[PI]["changed"]) == (0, 0), again.output
