# SPDX-License-Identifier: GPL-3.0-or-later
"""How docs/kubernetes.md builds images: each inventory and .gitlab-ci.yml as it stands there, with GitLab Runner.

What is another one here: the images, made of Debian's packages under the names of the recipe; the architecture of the
node; the project, because the fake GitLab has no group of that number.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from arm.registry import registry
from cluster.made import Cluster, add_image
from images.assembled import image
from images.build import buildah_recipe, docker_in_docker_recipe, docker_job_recipe, job_recipe
from integration.kubernetes.api import Api, delete_namespace
from integration.kubernetes.inventory_host import InventoryHost
from lab.git_server import serving_repository
from lab.host import ROOT
from lab.services import PROJECT_ID

TEXT = (ROOT / "docs" / "kubernetes.md").read_text()
RECIPES = {
    title: [yaml.safe_load(block) for block in blocks]
    for title, section in re.findall(r"^### (.+?)\n(.+?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    if (blocks := re.findall(r"^```yaml (?:inventory|\.gitlab-ci\.yml)\n(.+?)^```", section, re.MULTILINE | re.DOTALL))
}
IMAGES = {
    "docker:dind": docker_in_docker_recipe,
    "docker:cli": docker_job_recipe,
    "quay.io/buildah/stable": buildah_recipe,
}
LOGIN = "ci:a password of the test"
PROJECT = "pis/firmware"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_each_section_has_an_inventory_and_jobs() -> None:
    assert list(RECIPES) == ["Without root: buildah", "Docker-in-Docker with TLS"]
    assert {len(blocks) for blocks in RECIPES.values()} == {2}


def images_of(inventory: dict[str, Any], pipeline: dict[str, Any]) -> set[str]:
    """Of jobs and services."""
    kubernetes = [runner["config"]["kubernetes"] for runner in inventory["gitlab_runner_runners"]]
    services = [service for job in pipeline.values() for service in job.get("services", [])]
    return {*(each["image"] for each in kubernetes), *(job["image"] for job in pipeline.values()), *services}


def for_the_cluster(inventory: dict[str, Any]) -> dict[str, Any]:
    """The inventory for the node and the GitLab of the tests."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    runners = []
    for runner in inventory["gitlab_runner_runners"]:
        gitlab = {key: value for key, value in runner["gitlab"].items() if key != "group_id"}
        kubernetes = runner["config"]["kubernetes"] | {"node_selector": {"kubernetes.io/arch": architecture}}
        gitlab |= {"runner_type": "project_type", "project_id": PROJECT_ID}
        runners.append({**runner, "gitlab": gitlab, "config": {**runner["config"], "kubernetes": kubernetes}})
    return {**inventory, "gitlab_runner_runners": runners}


@pytest.fixture
def host(cluster: Cluster, tmp_path: Path) -> InventoryHost:
    if "helper" not in cluster.images:
        pytest.skip("there was no real gitlab-runner with its gitlab-runner-helper on PATH when the cluster was made")
    if cluster.kind == "named":
        pytest.skip("the images are put into no cluster that somebody has")
    return InventoryHost(cluster, tmp_path, "builds")


def files_for(mirror: str) -> dict[str, str]:
    """A repository whose image begins with one of Docker Hub, and where buildah finds that."""
    hub = f'[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "{mirror}"\ninsecure = true\n'
    dockerfile = 'FROM debian:bookworm\nCOPY fetched /\nRUN cat /fetched >/built\nCMD ["cat", "/built"]\n'
    return {"Dockerfile": dockerfile, "fetched": "from the repository\n", "registries.conf": hub}


@dataclass(frozen=True)
class Surroundings:
    """What a project has on a GitLab: a repository and a registry."""

    defaults: dict[str, Any]
    """gitlab_runner_defaults, where it is and what serves as Docker Hub."""
    variables: dict[str, str]
    """That GitLab gives to jobs."""
    sha: str


@pytest.fixture
def surroundings(cluster: Cluster, tmp_path: Path) -> Iterator[Surroundings]:
    machine = cluster.host_address
    of_gitlab = (cluster.ca_file.with_name("server.crt"), cluster.ca_file.with_name("server.key"))
    hub_images = {"library/debian:bookworm": image(job_recipe())}
    with (
        registry(machine, hub_images) as hub,
        registry(machine, {}, login=LOGIN, tls=of_gitlab) as own,
        serving_repository(machine, PROJECT, tmp_path / "repository", files_for(hub)) as repository,
    ):
        environment = {
            "LAB_REGISTRY_MIRROR": f"http://{hub}",
            "CONTAINERS_REGISTRIES_CONF": f"/builds/{PROJECT}/registries.conf",
            "SSL_CERT_FILE": f"/builds/{PROJECT}.tmp/CI_SERVER_TLS_CA_FILE",
        }
        user, _, password = LOGIN.partition(":")
        variables = {
            "GIT_STRATEGY": "clone",
            "CI_REGISTRY": own,
            "CI_REGISTRY_USER": user,
            "CI_REGISTRY_PASSWORD": password,
            "CI_REGISTRY_IMAGE": f"{own}/{PROJECT}",
            "CI_COMMIT_SHORT_SHA": repository.sha[:8],
        }
        config = {
            "clone_url": f"http://{machine}:{repository.port}",
            "environment": [f"{name}={value}" for name, value in environment.items()],
            "kubernetes": {"helper_image": cluster.images["helper"], "pull_policy": ["if-not-present"]},
        }
        yield Surroundings({"config": config}, variables, repository.sha)


@pytest.mark.parametrize("title", RECIPES)
def test_the_recipe_runs(
    cluster: Cluster, api: Api, host: InventoryHost, surroundings: Surroundings, title: str
) -> None:
    inventory, pipeline = RECIPES[title]
    settings = {**for_the_cluster(inventory), "gitlab_runner_defaults": surroundings.defaults}
    for reference in images_of(inventory, pipeline):
        add_image(cluster, reference, image(IMAGES[reference]()))
    try:
        host.play(**settings)
        for name, job in pipeline.items():
            given = {key: job[key] for key in ("image", "services") if key in job}
            variables = {**surroundings.variables, **job["variables"]}
            of_gitlab = {"sha": surroundings.sha, "protected": True, "variables": variables}
            ended = cluster.gitlab.run_job(
                600, name=name, script=job["script"], tag_list=job["tags"], **given, **of_gitlab
            )
            assert ended["status"] == "success", ended["trace"]
        assert host.changed(host.play(**settings)) == 0
    finally:
        delete_namespace(api, settings.get("gitlab_runner_kubernetes_namespace", host.namespace), wait=180)
