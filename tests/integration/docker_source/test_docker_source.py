# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare Pi gets its engine from Docker's repository: installed, pinned, unchanged, and another version drained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from drawing import takes
from integration.scenarios import only_in
from lab.docker_packages import offer_docker_packages
from lab.fleet import JOB_ENDS, Lab, Play
from lab.host import docker
from lab.pis import Pi, remove_pi, start_pi, wait_for_ssh
from sizes import one_of

NAME = "pi-08"
OLD, NEW = "5:28.0.0-1~lab", "5:28.0.1-1~lab"
PACKAGES = ("containerd.io", "docker-buildx-plugin", "docker-ce", "docker-ce-cli")


class BarePi:
    """A Pi beside those of the scenario, which has only what a fresh card has, and a repository of Docker Engine."""

    def __init__(self, lab: Lab, settings: dict[str, Any]) -> None:
        self.lab, self.settings = lab, settings

    def run(self, command: str) -> str:
        return docker("exec", f"pifleet-{self.lab.folder.name}-{NAME}", "/bin/sh", "-c", command)

    def play(self, playbook: str = "pifleet.ci.site", **settings: Any) -> Play:
        arguments = json.dumps({**self.settings, **settings})
        return self.lab.play("--limit", NAME, "-e", arguments, playbook=playbook)

    def version(self) -> str:
        return self.run("dpkg-query -W -f '${Version}' docker-ce")


@pytest.fixture(params=one_of(["bookworm", "trixie"], "suites for Docker's repository"))
def pi(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BarePi]:
    folder = tmp_path_factory.mktemp("bare")
    key, known_hosts = lab.folder / "id_ed25519", folder / "known_hosts"
    specification = Pi(NAME, request.param, hostname=NAME, raspbian=False, sudo_requires_password=False)
    inventory = folder / "pis.yml"
    try:
        started = start_pi(lab.folder.name, specification, key.with_suffix(".pub").read_text().strip())
        wait_for_ssh(started, key, known_hosts)
        ssh = {"ansible_host": started.address, "ansible_ssh_common_args": f"-o UserKnownHostsFile={known_hosts}"}
        inventory.write_text(json.dumps({"pis": {"hosts": {NAME: ssh}}}))
        settings = offer_docker_packages(f"pifleet-{lab.folder.name}-{NAME}", [OLD, NEW])
        yield BarePi(Lab(lab.folder.name, [*lab.inventories[1:-1], inventory]), settings)
    finally:
        remove_pi(lab.folder.name, NAME)


@only_in("default")
@takes(140)
def test_the_engine_of_dockers_repository(pi: BarePi) -> None:
    first = pi.play(docker_version=OLD)
    assert (first.code, pi.version()) == (0, OLD), first.output
    assert set(PACKAGES) <= set(pi.run("apt-mark showhold").split())
    assert "docker.io" not in pi.run("dpkg-query -W -f '${Package}\n'").split()
    again = pi.play(docker_version=OLD)
    assert (again.code, again.recap[NAME]["changed"]) == (0, 0), again.output
    try:
        gitlab = pi.lab.gitlab
        number = gitlab.call("POST", "/jobs", script=["sleep 15", "echo ended"], tag_list=[NAME, "docker"])["id"]
        gitlab.wait_for_job(number, ["running"], timeout=60)
        mixed = pi.play(docker_source="distribution", docker_version="")
        assert mixed.code != 0
        assert f"{NAME} has the package docker-ce" in " ".join(mixed.output.split()), mixed.output
        newer = pi.play(docker_version=NEW)
        assert (newer.code, pi.version()) == (0, NEW), newer.output
        job = gitlab.wait_for_job(number, JOB_ENDS)
        assert (job["status"], "ended" in job["trace"]) == ("success", True), job["trace"]
        assert gitlab.run_job(script=["true"], tag_list=[NAME, "docker"])["status"] == "success"
    finally:
        removed = pi.play("pifleet.ci.remove", pifleet_hosts=NAME)
    assert removed.code == 0, removed.output
