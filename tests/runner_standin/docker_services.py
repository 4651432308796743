# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of a job: a container for each, which the containers of the job reach by its names."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runner_standin.config import Runner
from runner_standin.docker_images import matches, obtain_image
from runner_standin.engine import Engine, EngineError
from runner_standin.jobs import Job, Service, system_failure

_DEFAULT_TIMEOUT = 30  # seconds
_HEALTH_CHECK_PORT = "HEALTHCHECK_TCP_PORT"


class Services:
    """The containers of the services that a job and its runner name, from `start()` to `remove()`."""

    def __init__(self, engine: Engine, runner: Runner, job: Job, name: str) -> None:
        """name: what the names of the containers begin with."""
        self._engine, self._runner, self._settings, self._job, self._name = engine, runner, runner.docker, job, name
        self._of_runner = [Service.from_settings(each) for each in self._settings.get("services", [])]
        self._containers: list[str] = []

    def start(
        self, policies: Sequence[str], common: Mapping[str, Any], host: Mapping[str, Any], write: Callable[[str], None]
    ) -> list[str]:
        """Start them, wait until they answer, and return their names with addresses as `extra_hosts`.

        policies: for their images. common, host: what each container and its HostConfig have in common with those of
        the job. write: takes lines for the trace. Raises EngineError and JobFailed.
        """
        links: dict[str, str] = {}
        for number, service in enumerate([*self._of_runner, *self._job.services]):
            image = self._job.expand(service.image)
            self._validate(image)
            write(f"Starting service {image}...")
            obtain_image(self._engine, image, policies, self._job.variables)
            settings = {**common, **self._container(service, image), "HostConfig": {**host, **self._host(image)}}
            container = self._engine.create_container(f"{self._name}-{number}", settings)
            self._containers.append(container)
            self._engine.start(container)
            found = self._engine.container(container)
            for alias in service.aliases(image):
                links.setdefault(alias, _address(found))
            self._wait(image, found, write)
        return [f"{alias}:{address}" for alias, address in links.items()]

    def remove(self) -> None:
        """Remove the containers with what they have stored."""
        for container in self._containers:
            with contextlib.suppress(EngineError):
                self._engine.remove_container(container)

    def _validate(self, image: str) -> None:
        allowed = self._settings.get("allowed_services", [])
        internal = [self._job.expand(service.image) for service in self._of_runner]
        if allowed and image not in internal and not matches(image, allowed):
            raise system_failure(f"the service {image} is not present on list of allowed services: {allowed}")

    def _container(self, service: Service, image: str) -> dict[str, Any]:
        """Of the job's variables only the public ones reach a service, for those of a project may be secrets."""
        environment = {**self._runner.environment, **self._job.public_variables, **service.variables}
        settings: dict[str, Any] = {
            "Image": image,
            "Env": [f"{name}={self._job.expand(value)}" for name, value in environment.items()],
        }
        if service.command:
            settings["Cmd"] = list(service.command)
        if service.entrypoint:
            settings["Entrypoint"] = list(service.entrypoint)
        return settings

    def _host(self, image: str) -> dict[str, Any]:
        settings = self._settings
        privileged = settings.get("services_privileged", settings.get("privileged", False))
        allowed = settings.get("allowed_privileged_services", [])
        return {
            "Privileged": privileged and (not allowed or matches(image, allowed)),
            "SecurityOpt": settings.get("services_security_opt", []),
            "Tmpfs": settings.get("services_tmpfs", {}),
        }

    def _wait(self, image: str, found: Mapping[str, Any], write: Callable[[str], None]) -> None:
        """As with GitLab Runner, a service that does not answer in time is a warning."""
        timeout = self._settings.get("wait_for_services_timeout", 0) or _DEFAULT_TIMEOUT
        address, ports = _address(found), list(_ports(found))
        write(f"Waiting for services to be up and running (timeout {timeout} seconds)...")
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for port in ports:
                with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
                    return
            time.sleep(0.5)
        if timeout > 0:
            write(f"*** WARNING: Service {image} probably didn't start properly: no answer from {address} at {ports}")


def _address(found: Mapping[str, Any]) -> str:
    """The address of a container, by what the engine says of it."""
    networks = found["NetworkSettings"]["Networks"].values()
    return next((network["IPAddress"] for network in networks if network["IPAddress"]), "")


def _ports(found: Mapping[str, Any]) -> Iterator[int]:
    """The ports at which a service says that it answers: one of its variables, else those that its image exposes."""
    chosen = [
        value
        for name, _, value in (pair.partition("=") for pair in found["Config"]["Env"] or [])
        if name == _HEALTH_CHECK_PORT
    ]
    exposed = re.findall(r"(\d+)/tcp", " ".join(found["Config"].get("ExposedPorts") or {}))
    yield from sorted(map(int, chosen or exposed))
