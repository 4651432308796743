# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker executor: each step of a job runs in a container of its own, over a volume that they share."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from runner_standin.config import Runner
from runner_standin.engine import Engine, EngineError, output
from runner_standin.jobs import Job, Step, system_failure
from runner_standin.script import render
from runner_standin.stopping import Stop

_SHELL = ["sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"]
_SIZES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_LABEL = "com.gitlab.gitlab-runner"


class DockerExecutor:
    """Runs the steps of one job in the engine of `docker.host`, by default the one behind the usual socket."""

    def __init__(self, runner: Runner, job: Job) -> None:
        self._runner, self._job, self._settings = runner, job, runner.docker
        self._engine = Engine(self._settings.get("host", ""))
        self._image = job.expand(job.image or self._settings.get("image", ""))
        self._name = f"runner-{runner.short}-project-{job.project_id}-job-{job.id}-{uuid.uuid4().hex[:8]}".lower()
        self._volume = f"{self._name}-builds"
        self._builds = runner.settings.get("builds_dir") or "/builds"
        self._labels = {
            f"{_LABEL}.managed": "true",
            f"{_LABEL}.job.id": str(job.id),
            f"{_LABEL}.project.id": str(job.project_id),
            f"{_LABEL}.runner.id": runner.short,
            **self._settings.get("container_labels", {}),
        }
        self.description = f"Using Docker executor with image {self._image} ..."

    def __enter__(self) -> DockerExecutor:
        if not self._image:
            raise system_failure("no image: neither the job nor docker.image of the entry names one")
        try:
            self._obtain_image()
            self._engine.create_volume(self._volume, self._labels)
        except EngineError as error:
            raise system_failure(f"prepare environment: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(EngineError):
            self._engine.remove_volume(self._volume)

    def run(self, step: Step, write: Callable[[bytes], None], stop: Stop) -> int:
        """Run one step in a new container and return its exit code."""
        directory = f"{self._builds}/{self._job.project}"
        try:
            with self._container(step, directory) as (container, stream):
                self._engine.start(container)
                stream.sendall(render(self._job, step, directory).encode())
                stream.shutdown(socket.SHUT_WR)
                for data in output(stream, stop):
                    write(data)
                return self._engine.exit_code(container)
        except (EngineError, OSError) as error:
            raise system_failure(str(error)) from error

    def _obtain_image(self) -> None:
        refusals = []
        for policy in self._job.pull_policies or _listed(self._settings.get("pull_policy", "always")):
            present = self._engine.has_image(self._image)
            if policy == "never" or (policy == "if-not-present" and present):
                if present:
                    return
                refusals.append(f"{self._image} is not there and the pull policy is {policy}")
                continue
            try:
                self._engine.pull(self._image)
                return
            except EngineError as error:
                refusals.append(f"failed to pull image {self._image} with policy {policy}: {error}")
        raise EngineError("; ".join(refusals))

    @contextlib.contextmanager
    def _container(self, step: Step, directory: str) -> Iterator[tuple[str, socket.socket]]:
        name = f"{self._name}-{re.sub(r'[^a-zA-Z0-9_.-]', '-', step.name)}"
        container = self._engine.create_container(name, self._container_settings(directory))
        try:
            with self._engine.attach(container) as stream:
                yield container, stream
        finally:
            with contextlib.suppress(EngineError):
                self._engine.remove_container(container)

    def _container_settings(self, directory: str) -> dict[str, Any]:
        environment = {**self._runner.environment, **self._job.variables, "CI_PROJECT_DIR": directory}
        settings: dict[str, Any] = {
            "Image": self._image,
            "Cmd": _SHELL,
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Labels": self._labels,
            "Hostname": self._settings.get("hostname", ""),
            "User": self._settings.get("user", ""),
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "HostConfig": self._host_settings(),
        }
        if self._job.entrypoint is not None and not self._settings.get("disable_entrypoint_overwrite"):
            settings["Entrypoint"] = list(self._job.entrypoint)
        return settings

    def _host_settings(self) -> dict[str, Any]:
        given = self._settings
        return {
            "Binds": [f"{self._volume}:{self._builds}", *map(self._bind, given.get("volumes", []))],
            "Privileged": given.get("privileged", False),
            "CapAdd": given.get("cap_add", []),
            "CapDrop": given.get("cap_drop", []),
            "SecurityOpt": given.get("security_opt", []),
            "Devices": [_device(device) for device in given.get("devices", [])],
            "Dns": given.get("dns", []),
            "DnsSearch": given.get("dns_search", []),
            "ExtraHosts": given.get("extra_hosts", []),
            "GroupAdd": given.get("group_add", []),
            "NetworkMode": given.get("network_mode", ""),
            "Memory": _bytes(given.get("memory", "0")),
            "MemorySwap": _bytes(given.get("memory_swap", "0")),
            "NanoCpus": int(float(given.get("cpus") or 0) * 1e9),
            "CpusetCpus": given.get("cpuset_cpus", ""),
            "ShmSize": given.get("shm_size", 0),
            "Tmpfs": given.get("tmpfs", {}),
            "Sysctls": given.get("sysctls", {}),
            "Runtime": given.get("runtime", ""),
        }

    def _bind(self, volume: str) -> str:
        """A path alone becomes a named volume that later jobs of the project find again."""
        volume = self._job.expand(volume)
        if ":" in volume:
            return volume
        digest = hashlib.md5(volume.encode(), usedforsecurity=False).hexdigest()
        name = f"runner-{self._runner.short}-project-{self._job.project_id}-cache-{digest}".lower()
        return f"{name}:{volume}"


def _listed(policy: str | list[str]) -> list[str]:
    return [policy] if isinstance(policy, str) else policy or ["always"]


def _device(text: str) -> dict[str, str]:
    host, _, rest = text.partition(":")
    container, _, permissions = rest.partition(":")
    return {"PathOnHost": host, "PathInContainer": container or host, "CgroupPermissions": permissions or "rwm"}


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([bkmg]?)b?", text.strip().lower() or "0")
    if match is None:
        raise system_failure(f"{text!r} is not an amount of memory")
    return int(match[1]) * _SIZES[match[2]]
