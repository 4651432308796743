# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine from bare to a green job, and through a second run that changes nothing."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.assembled import image
from images.build import docker_in_docker_recipe, docker_job_recipe, job_recipe, runner_recipe, standin_files
from lab.fleet import GitLab, Lab, Play
from lab.host import MACHINE_PID, STATE, LabError, end, own_address
from lab.inventory import write_inventory
from lab.pis import FIRST_BOOT, Pi, ssh_key, wait_for_ssh
from lab.runner_packages import offer_packages
from lab.services import PROJECT_ID, api_token, ensure_gitlab, stop_gitlab

from .disk import disk
from .machine import PROGRAM, Machine
from .registry import registry

RELEASES = ("bookworm", "trixie")
DEPLOYMENTS = ("container", "package")
NAME = "pi-01"
ARCHITECTURE = "arm64"
MOST_EXECUTIONS = 2
"""Of modules on the Pi in an unchanged run: the state of the host, and registration with config.toml."""
_INVENTORY = Path(__file__).with_name("inventory")
_PACKAGE_VERSION = "19.4.0-1"
_JOB_TIMEOUT = 900
"""The engine of a job generates keys, which takes minutes here."""
_DIND = "docker:dind"
_SSH_ATTEMPTS = 300
"""A busy host takes minutes for the boot that an idle one does in 20 seconds."""


@dataclass(frozen=True)
class Figures:
    """What one machine took. A machine is ready when it answers over SSH."""

    release: str
    deployment: str
    kernel: str
    seconds_to_boot: float
    first_run: float
    first_executions: int
    job: float
    second_run: float
    second_executions: int

    def row(self) -> list[str]:
        """The figures in the order of HEAD."""
        return [
            self.release, self.deployment, self.kernel, f"{self.seconds_to_boot:.0f}",
            f"{self.first_run:.0f}", str(self.first_executions), f"{self.job:.0f}",
            f"{self.second_run:.0f}", str(self.second_executions),
        ]  # fmt: skip


HEAD = ["release", "deployment", "kernel", "boot s", "first run s", "executions", "job s", "second run s", "executions"]


def bare_to_green(release: str, deployment: str) -> Figures:
    """Run the scenario and return its figures. Raises LabError when something is not as it must be."""
    name = f"arm-{release}-{deployment}"
    board = disk(release)
    images = {
        "gitlab-runner:lab": image(runner_recipe("standin", standin_files()), ARCHITECTURE),
        "job:busybox": image(job_recipe(), ARCHITECTURE),
        "job:docker": image(docker_job_recipe(), ARCHITECTURE),
        _DIND: image(docker_in_docker_recipe(), ARCHITECTURE),
    }
    folder = _empty_folder(name)
    address = own_address()
    machine = Machine(folder, board)
    with registry(address, images) as registry_name, _gitlab(folder, address) as url:
        public_key = ssh_key(folder).with_suffix(".pub").read_text()
        machine.prepare({"first_boot.sh": FIRST_BOOT.read_text(), "key.pub": public_key})
        variables = {
            "gitlab_runner_deployment": deployment,
            "gitlab_runner_image": f"{registry_name}/gitlab-runner:lab",
            "lab_job_image": f"{registry_name}/job:busybox",
            "lab_docker_job_image": f"{registry_name}/job:docker",
            "lab_docker_in_docker_image": f"{registry_name}/{_DIND}",
            "docker_insecure_registries": [registry_name],
            "gitlab_runner_url": url,
            "gitlab_runner_ca_file": str(folder / "tls" / "ca.crt"),
            "gitlab_runner_api_token": api_token(folder),
            "lab_project_id": PROJECT_ID,
        }
        pi = Pi(NAME, release, "raspberrypi", False, True, address="127.0.0.1", port=machine.ssh_port)
        write_inventory(folder, [pi], variables)
        try:
            started = time.monotonic()
            machine.power_on()
            wait_for_ssh(pi, folder / "id_ed25519", folder / "known_hosts", _SSH_ATTEMPTS)
            boot = time.monotonic() - started
            figures = _runs(Lab(name, [_INVENTORY]), machine, release, deployment, boot)
        finally:
            machine.power_off()
    shutil.rmtree(folder)
    return figures


def _runs(lab: Lab, machine: Machine, release: str, deployment: str, boot: float) -> Figures:
    settings = _settings(lab, deployment)
    _require(
        "memory" not in _cgroup_controllers(lab), "the kernel has a memory controller before site.yml asks for one"
    )
    first, first_seconds = _play(lab, settings)
    _require(
        "memory" in _cgroup_controllers(lab), "the kernel has no memory controller, although site.yml has asked for it"
    )
    _require(
        len(machine.command_lines) == 2, f"the machine was powered on {len(machine.command_lines)} times, not twice"
    )
    started = time.monotonic()
    for runner, (job, words) in _jobs(lab, deployment).items():
        _require_job(lab.gitlab.run_job(timeout=_JOB_TIMEOUT, tag_list=[runner], name=runner, **job), words)
    job_seconds = time.monotonic() - started
    architectures = {manager["architecture"] for runner in lab.gitlab.runners() for manager in runner["managers"]}
    _require(architectures == {ARCHITECTURE}, f"GitLab Runner says that it runs on {architectures}")
    lab.gitlab.call("DELETE", "/journal")
    second, second_seconds = _play(lab, settings)
    _require_unchanged(second, lab.gitlab)
    return Figures(
        release, deployment, lab.ssh(NAME, "uname -r"), boot,
        first_seconds, len(_executions(first)), job_seconds, second_seconds, len(_executions(second)),
    )  # fmt: skip


def _settings(lab: Lab, deployment: str) -> dict[str, Any]:
    """What the inventory cannot say before the machine runs."""
    if deployment != "package":
        return {}
    with tempfile.TemporaryDirectory(prefix="pifleet-packages-") as folder:
        offer = offer_packages(lab, NAME, Path(folder), [_PACKAGE_VERSION], files=standin_files())
    return {"gitlab_runner_package": {**offer.settings, "version": _PACKAGE_VERSION}}


def _cgroup_controllers(lab: Lab) -> list[str]:
    return lab.ssh(NAME, "cat /sys/fs/cgroup/cgroup.controllers").split()


def _jobs(lab: Lab, deployment: str) -> dict[str, tuple[dict[str, Any], set[str]]]:
    """For each runner of the inventory, by the tag that leads to it, a job and words that its trace must have."""
    limited = {"script": ["uname -m", "cat /sys/fs/cgroup/memory.max"]}
    docker = {"docker": (limited, {"aarch64", str(256 * 1024 * 1024)})}
    if deployment == "package":
        return {**docker, "shell": ({"script": ["uname -m"]}, {"aarch64"})}
    return {**docker, "docker-in-docker": (_docker_in_docker_job(lab), {"built-on-aarch64"})}


def _docker_in_docker_job(lab: Lab) -> dict[str, Any]:
    """A job that builds and runs an image in an engine of its own, over TLS. Nothing is pulled."""
    image = lab.variables["lab_docker_in_docker_image"]
    return {
        "services": [{"name": image, "alias": "docker", "variables": {"HEALTHCHECK_TCP_PORT": "2376"}}],
        "variables": {
            "DOCKER_HOST": "tcp://docker:2376",
            "DOCKER_TLS_CERTDIR": "/certs",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": "/certs/client",
        },
        "script": [
            "test ! -e /var/run/docker.sock",
            'test -z "$(docker image ls --quiet)"',
            "cp $(readlink -f /usr/bin/busybox) busybox",
            r"printf 'FROM scratch\nCOPY busybox /bin/sh\nRUN echo built-on-%s > /built\n' $(uname -m) > Dockerfile",
            "docker build --tag hello .",
            "docker run --rm hello /bin/sh -c 'read built < /built; echo $built'",
        ],
    }


def _play(lab: Lab, settings: Mapping[str, Any]) -> tuple[Play, float]:
    started = time.monotonic()
    play = lab.play("-e", json.dumps(settings), show=True)
    seconds = time.monotonic() - started
    _require(play.code == 0, "site.yml failed, see above")
    return play, seconds


def _executions(play: Play) -> list[str]:
    """The modules that were executed on the Pi."""
    return [f"{entry['module']} ({entry['task']})" for entry in play.executions if entry["transport"] != "local"]


def _require_job(job: Mapping[str, Any], words: set[str]) -> None:
    print(job["trace"], flush=True)
    _require(
        job["status"] == "success", f"the job {job['name']} is {job['status']} ({job['failure_reason']}), see above"
    )
    missing = words - set(job["trace"].split())
    _require(not missing, f"the trace of the job {job['name']} does not have {', '.join(missing)}, see above")


def _require_unchanged(play: Play, gitlab: GitLab) -> None:
    changed = {host: numbers["changed"] for host, numbers in play.recap.items()}
    _require(changed == {NAME: 0}, f"the second run changed something: {changed}")
    writes = gitlab.writes()
    _require(not writes, f"the second run sent write requests to GitLab: {writes}")
    executions = _executions(play)
    _require(1 < len(executions) <= MOST_EXECUTIONS, f"the second run executed {', '.join(executions)}")


@contextmanager
def _gitlab(folder: Path, address: str) -> Iterator[str]:
    try:
        yield ensure_gitlab(folder, address)
    finally:
        stop_gitlab(folder)


def _empty_folder(name: str) -> Path:
    folder = STATE / name
    # What a run has left that was killed.
    stop_gitlab(folder)
    end(folder / MACHINE_PID, PROGRAM)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise LabError(message)
