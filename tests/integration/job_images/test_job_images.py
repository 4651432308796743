# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of jobs: built by each Pi, or by one of them and pushed to a registry with a login; never twice."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from drawing import takes
from fake_gitlab import tls
from integration.scenarios import only_in
from lab.fleet import Lab, Play
from lab.private_registry import PASSWORD, REGISTRY, USERNAME, start_private_registry, stop_private_registry
from testinfra.host import Host

pytestmark = [only_in("default"), takes(350, "job images"), pytest.mark.timeout(900)]

PI, OTHER = "pi-02", "pi-01"
NAME = "ci.example.com/tools:1"
LABEL = "ci.pifleet.job-image"
BUILD = "pifleet.ci.job_images : Build the image"
LOGIN = {REGISTRY: {"username": USERNAME, "password": PASSWORD}}


class Images:
    """The playbook on some Pis, with one image, whose context is in a folder."""

    def __init__(self, lab: Lab, context: Path, name: str = NAME, **settings: Any) -> None:
        self.lab, self.context, self.name, self.settings = lab, context, name, settings

    def play(self, *pis: str, build: dict[str, Any] | None = None, options: Sequence[str] = ()) -> Play:
        """`build` has further keys."""
        builds = [{"name": self.name, "context": str(self.context), **(build or {})}]
        variables = json.dumps({"job_images_builds": builds, **self.settings})
        return self.lab.play("--limit", ",".join(pis), "-e", variables, *options, playbook="pifleet.ci.job_images")

    def dockerfile(self, *lines: str) -> None:
        """Write it, to begin with the image of the lab's jobs."""
        (self.context / "Dockerfile").write_text("\n".join([f"FROM {self.lab.variables['lab_job_image']}", *lines, ""]))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    (folder / "tool").write_text("#!/bin/sh\necho a tool\n")
    (folder / "tool").chmod(0o755)
    (folder / "secret").write_text("not for the image")
    (folder / ".dockerignore").write_text("secret\n")
    return folder


@pytest.fixture(scope="module")
def images(lab: Lab, context: Path, pis: dict[str, Host]) -> Iterator[Images]:
    images = Images(lab, context)
    images.dockerfile("ARG BOARD", "COPY . /tools/", 'RUN echo "$BOARD" >/board')
    yield images
    assert images.play(PI, build={"state": "absent"}).code == 0


def image_id(pi: Host, reference: str) -> str:
    return str(pi.run(f"docker image inspect --format '{{{{.Id}}}}' {reference}").stdout.strip())


def leftovers(pi: Host) -> str:
    return str(pi.check_output("ls -d /var/tmp/pifleet-job-images.* 2>/dev/null; true"))


def builders(play: Play) -> int:
    return len([entry for entry in play.executions if entry["task"] == BUILD])


def failures(play: Play) -> set[str]:
    return {pi for pi, numbers in play.recap.items() if numbers["failed"]}


def unchanged(play: Play, *pis: str) -> None:
    """One execution on each Pi."""
    assert play.code == 0, play.output
    assert {pi: play.recap[pi]["changed"] for pi in pis} == dict.fromkeys(pis, 0), play.output
    assert [entry["module"] for entry in play.executions] == ["pifleet.ci.host_info"] * len(pis)


def test_an_image_is_built(images: Images, pis: dict[str, Host]) -> None:
    args = {"args": {"BOARD": "rpi4"}}
    would = images.play(PI, options=["--check"], build=args)
    assert (would.code, f"Would build {NAME}" in would.output, image_id(pis[PI], NAME)) == (0, True, ""), would.output
    play = images.play(PI, build=args)
    assert (play.code, builders(play)) == (0, 1), play.output
    said = pis[PI].check_output(f"docker run --rm {NAME} sh -c 'cat /board; ls /tools; /tools/tool'")
    assert said.split("\n") == ["rpi4", "Dockerfile", "tool", "a tool"]
    assert leftovers(pis[PI]) == ""
    unchanged(images.play(PI, build=args), PI)
    unchanged(images.play(PI, options=["--check"], build=args), PI)


def test_a_build_that_fails_leaves_the_image_before(images: Images, pis: dict[str, Host]) -> None:
    before = image_id(pis[PI], NAME)
    images.dockerfile("RUN echo what it says && exit 7")
    play = images.play(PI)
    assert play.code != 0
    for part in (f"{PI}: {NAME} was not built or pushed", "returned a non-zero code: 7", "what it says"):
        assert part in play.output
    assert (image_id(pis[PI], NAME), leftovers(pis[PI])) == (before, "")


def test_another_context_is_built_again(images: Images, pis: dict[str, Host]) -> None:
    before = image_id(pis[PI], NAME)
    images.dockerfile("COPY tool /tool")
    play = images.play(PI)
    assert (play.code, builders(play)) == (0, 1), play.output
    assert image_id(pis[PI], NAME) not in ("", before)
    unchanged(images.play(PI), PI)


def test_an_image_that_is_absent(images: Images, pis: dict[str, Host]) -> None:
    gone = {"state": "absent"}
    pis[PI].check_output(f"docker run --detach --name uses-it {NAME} sleep 600")
    play = images.play(PI, build=gone)
    assert (play.code != 0, f"{NAME} was not removed" in play.output) == (True, True), play.output
    pis[PI].check_output("docker rm -f uses-it")
    assert images.play(PI, build=gone).code == 0
    assert image_id(pis[PI], NAME) == ""
    pis[PI].check_output(f"docker tag {images.lab.variables['lab_job_image']} {NAME}")
    unchanged(images.play(PI, build=gone), PI)
    pis[PI].check_output(f"docker image rm {NAME}")


@pytest.fixture(scope="module")
def shared(lab: Lab, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """A registry that both Pis trust, and its login."""
    folder = tmp_path_factory.mktemp("registry")
    files = tls.make(folder, [REGISTRY.split(":")[0]])
    assert files.ca
    start_private_registry(lab.folder.name, folder, {})
    settings = {"docker_registry_ca_files": {REGISTRY: files.ca}, "gitlab_runner_registry_credentials": LOGIN}
    both = ("--limit", f"{PI},{OTHER}")
    ready = lab.play(*both, "-e", json.dumps(settings))
    assert ready.code == 0, ready.output
    shared = Images(
        lab, images.context, "tools:1", job_images_registry=REGISTRY, gitlab_runner_registry_credentials=LOGIN
    )
    yield shared
    assert shared.play(PI, OTHER, build={"state": "absent"}).code == 0
    stop_private_registry(lab.folder.name)
    back = {"docker_registry_ca_files": {REGISTRY: None}, "gitlab_runner_registry_credentials": {}}
    assert lab.play(*both, "-e", json.dumps(back)).code == 0


@pytest.fixture(scope="module")
def reference(pis: dict[str, Host]) -> str:
    return f"{REGISTRY}/tools:1-{pis[PI].check_output('dpkg --print-architecture')}"


def test_one_pi_builds_for_both(shared: Images, pis: dict[str, Host], reference: str) -> None:
    play = shared.play(PI, OTHER, options=["-vvv", "--diff"])
    assert (play.code, builders(play)) == (0, 1), play.output
    secrets = (PASSWORD, base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode())
    assert [secret for secret in secrets if secret in play.output] == []
    label = f"docker image inspect --format '{{{{index .Config.Labels \"{LABEL}\"}}}}' {reference}"
    assert len({pis[pi].check_output(label) for pi in (PI, OTHER)}) == 1
    assert {pi: image_id(pis[pi], f"{reference}-unpushed") for pi in (PI, OTHER)} == {PI: "", OTHER: ""}
    unchanged(shared.play(PI, OTHER), PI, OTHER)


def test_what_the_registry_has_is_not_built_again(shared: Images, pis: dict[str, Host], reference: str) -> None:
    for pi in (PI, OTHER):
        pis[pi].check_output(f"docker image rm {reference}")
    play = shared.play(PI, OTHER)
    assert (play.code, builders(play)) == (0, 0), play.output
    unchanged(shared.play(PI, OTHER), PI, OTHER)


def test_a_run_that_has_died_is_caught_up_with(shared: Images, pis: dict[str, Host], reference: str) -> None:
    pis[PI].check_output(f"docker tag {reference} {reference}-unpushed")
    play = shared.play(PI, OTHER)
    assert (play.code, builders(play), image_id(pis[PI], f"{reference}-unpushed")) == (0, 0, ""), play.output
    unchanged(shared.play(PI, OTHER), PI, OTHER)


def test_a_build_that_fails_fails_for_both(shared: Images, pis: dict[str, Host], reference: str) -> None:
    before = [image_id(pis[pi], reference) for pi in (PI, OTHER)]
    shared.dockerfile("RUN exit 7")
    play = shared.play(PI, OTHER)
    assert (play.code != 0, builders(play)) == (True, 1)
    assert failures(play) == {PI, OTHER}
    assert "was not built or pushed" in play.output
    assert "has not built it; the reason is above" in " ".join(play.output.split())
    assert [image_id(pis[pi], reference) for pi in (PI, OTHER)] == before


def test_a_registry_that_is_down(lab: Lab, shared: Images, pis: dict[str, Host], reference: str) -> None:
    before = [image_id(pis[pi], reference) for pi in (PI, OTHER)]
    stop_private_registry(lab.folder.name)
    play = shared.play(PI, OTHER)
    assert (play.code != 0, builders(play)) == (True, 0)
    assert failures(play) == {PI, OTHER}
    assert "because the registry cannot be asked for it" in " ".join(play.output.split())
    assert [image_id(pis[pi], reference) for pi in (PI, OTHER)] == before
