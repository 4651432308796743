# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker executor: each step of a job runs in its own container, with a shared volume for the builds directory."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import socket
import tarfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from runner_standin.cache import moved
from runner_standin.config import Runner
from runner_standin.docker_images import matches, obtain_image
from runner_standin.docker_services import Services
from runner_standin.engine import Engine, EngineError, output
from runner_standin.jobs import Job, Step, system_failure
from runner_standin.script import render
from runner_standin.stop import Stop

_SHELL = ["sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"]
_SIZES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_LABEL = "com.gitlab.gitlab-runner"


class DockerExecutor:
    """Runs the steps of one job in the engine at `docker.host`, else at $DOCKER_HOST, else at the default socket."""

    def __init__(self, runner: Runner, job: Job, write: Callable[[str], None]) -> None:
        """write: takes lines for the trace."""
        self._runner, self._job, self._settings, self._write = runner, job, runner.docker, write
        self._engine = Engine(self._settings.get("host", ""))
        self._image = job.expand(job.image or self._settings.get("image", ""))
        self._name = f"runner-{runner.short_token}-project-{job.project_id}-job-{job.id}-{uuid.uuid4().hex[:8]}".lower()
        self._volume = f"{self._name}-builds"
        self._temporary_volumes = [self._volume]
        self._builds = runner.settings.get("builds_dir") or "/builds"
        self._labels = {
            f"{_LABEL}.managed": "true",
            f"{_LABEL}.job.id": str(job.id),
            f"{_LABEL}.project.id": str(job.project_id),
            f"{_LABEL}.runner.id": runner.short_token,
            **self._settings.get("container_labels", {}),
        }
        self._services = Services(self._engine, runner, job, f"{self._name}-service")
        self._service_hosts: list[str] = []
        self.description = f"Using Docker executor with image {self._image} ..."

    def __enter__(self) -> DockerExecutor:
        if not self._image:
            raise system_failure("no image: neither the job nor docker.image of the entry names one")
        policies = self._job.pull_policies or _as_list(self._settings.get("pull_policy", "always"))
        variables = {**self._runner.environment, **self._job.variables}
        try:
            self._engine.create_volume(self._volume, self._labels)
            common, host = {"Labels": self._labels}, self._common_host_settings()
            self._service_hosts = self._services.start(policies, common, host, self._write)
            obtain_image(self._engine, self._image, policies, variables)
        except EngineError as error:
            self._remove()
            raise system_failure(f"prepare environment: {error}") from error
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        self._services.remove()
        for volume in self._temporary_volumes:
            with contextlib.suppress(EngineError):
                self._engine.remove_volume(volume)

    def run(self, step: Step, write: Callable[[bytes], None], stop: Stop) -> int:
        """Run one step in a new container and return its exit code. Raises JobFailed and JobStopped."""
        directory = self._directory
        try:
            with self._container(step.name, directory) as (container, stream):
                self._engine.start(container)
                stream.sendall(render(self._job, step, directory).encode())
                stream.shutdown(socket.SHUT_WR)
                for data in output(stream, stop):
                    write(data)
                return self._engine.exit_code(container)
        except (EngineError, OSError) as error:
            raise system_failure(str(error)) from error

    def pack(self, paths: Sequence[str]) -> bytes:
        """As Files has it, through a container that is never started."""
        packed = io.BytesIO()
        with self._files() as container, tarfile.open(fileobj=packed, mode="w") as archive:
            for path in paths:
                found = self._engine.read(container, f"{self._directory}/{path}")
                if found is not None:
                    moved(found, path.rstrip("/").rpartition("/")[0], archive)
        return packed.getvalue()

    def unpack(self, archive: bytes) -> None:
        """As Files has it."""
        placed = io.BytesIO()
        with tarfile.open(fileobj=placed, mode="w") as target:
            moved(archive, self._job.project_path, target)
        with self._files() as container:
            self._engine.write(container, self._builds, placed.getvalue())

    @property
    def _directory(self) -> str:
        return f"{self._builds}/{self._job.project_path}"

    @contextlib.contextmanager
    def _files(self) -> Iterator[str]:
        try:
            with self._container("cache", self._directory) as (container, _stream):
                yield container
        except EngineError as error:
            raise system_failure(str(error)) from error

    @contextlib.contextmanager
    def _container(self, what: str, directory: str) -> Iterator[tuple[str, socket.socket]]:
        name = f"{self._name}-{re.sub(r'[^a-zA-Z0-9_.-]', '-', what)}"
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
        settings = self._settings
        allowed = settings.get("allowed_privileged_images", [])
        return {
            **self._common_host_settings(),
            "Privileged": settings.get("privileged", False) and (not allowed or matches(self._image, allowed)),
            "CapAdd": settings.get("cap_add", []),
            "CapDrop": settings.get("cap_drop", []),
            "SecurityOpt": settings.get("security_opt", []),
            "Devices": [_device(device) for device in settings.get("devices", [])],
            "ExtraHosts": [*settings.get("extra_hosts", []), *self._service_hosts],
            "GroupAdd": settings.get("group_add", []),
            "Memory": _bytes(settings.get("memory", "0")),
            "MemorySwap": _bytes(settings.get("memory_swap", "0")),
            "NanoCpus": int(float(settings.get("cpus") or 0) * 1e9),
            "CpusetCpus": settings.get("cpuset_cpus", ""),
            "Tmpfs": settings.get("tmpfs", {}),
            "Sysctls": settings.get("sysctls", {}),
        }

    def _common_host_settings(self) -> dict[str, Any]:
        """Those that the containers of services have as well."""
        settings = self._settings
        return {
            "Binds": [f"{self._volume}:{self._builds}", *map(self._bind, settings.get("volumes", []))],
            "Dns": settings.get("dns", []),
            "DnsSearch": settings.get("dns_search", []),
            "ExtraHosts": settings.get("extra_hosts", []),
            "NetworkMode": settings.get("network_mode", ""),
            "ShmSize": settings.get("shm_size", 0),
            "Runtime": settings.get("runtime", ""),
        }

    def _bind(self, volume: str) -> str:
        """A container path alone becomes a volume: of the runner, the project and the number of the concurrent job.

        GitLab Runner names it so until 18.3, and has a hash of the same in its place since.
        """
        volume = self._job.expand(volume)
        if ":" in volume:
            return volume
        digest = hashlib.md5(volume.encode(), usedforsecurity=False).hexdigest()
        slot = f"project-{self._job.project_id}-concurrent-{self._job.concurrent_project_id}"
        name = f"runner-{self._runner.short_token}-{slot}-cache-{digest}".lower()
        if self._settings.get("disable_cache"):
            name = f"{self._name}-cache-{digest}"
            self._temporary_volumes.append(name)
        return f"{name}:{volume}"


def _as_list(policy: str | list[str]) -> list[str]:
    return [policy] if isinstance(policy, str) else policy or ["always"]


def _device(text: str) -> dict[str, str]:
    host, _, rest = text.partition(":")
    container, _, permissions = rest.partition(":")
    return {"PathOnHost": host, "PathInContainer": container or host, "CgroupPermissions": permissions or "rwm"}


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([bkmg]?)b?", text.strip().lower() or "0")
    if match is None:
        raise system_failure(f"{text!r} is not a memory size")
    return int(match[1]) * _SIZES[match[2]]
