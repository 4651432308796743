# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to stop GitLab Runner on this host after its running jobs, and to start it again.

Runs on the host itself: standard library only, Python 3.9 and later.

Both functions of a way are called again at every run of the program, whatever happened since: they say what has to be,
and do only what is missing for it. So a reboot, a kill in between, or somebody who starts GitLab Runner by hand is made
up for by the next run.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any, Protocol

import _atomic_file as atomic_file
from _docker_api import Engine

CONTAINER = "gitlab-runner"
UNIT = "gitlab-runner.service"
DAEMON_JSON = "/etc/docker/daemon.json"
LABEL = "pifleet.ci.disk_space=low"

Memory = dict[str, Any]
"""What a way has to know later to start GitLab Runner again, empty if it has stopped nothing. Plain JSON."""


class RunnerError(Exception):
    """GitLab Runner cannot be stopped or started; one sentence says why."""


class Way(Protocol):
    """How a deployment of GitLab Runner stops and starts."""

    def stop(self, memory: Memory, remember: Callable[[Memory], None]) -> None:
        """Have GitLab Runner take no new jobs and end after the running ones; does not wait for that.

        remember: puts a memory on the disk, to be called before anything is changed.
        """

    def start(self, memory: Memory) -> bool:
        """Start what stop() has stopped, and nothing else. False while that has still to end its jobs.

        The memory may be that of another way, for a deployment that has been changed since, and what was stopped may be
        gone.
        """


class Container:
    """The container gitlab-runner, which has SIGQUIT as its stop signal.

    With its restart policy the engine would start it again when it is itself restarted, so that is taken away first.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def stop(self, memory: Memory, remember: Callable[[Memory], None]) -> None:
        found = self._engine.get("/containers/{}/json", CONTAINER)
        if found is None or not found["State"]["Running"]:
            return
        policy = memory.get("restart_policy") or found["HostConfig"]["RestartPolicy"]
        remember({"restart_policy": policy, "started_at": found["State"]["StartedAt"]})
        self._engine.post("/containers/{}/update", CONTAINER, body={"RestartPolicy": {"Name": "no"}})
        self._engine.post("/containers/{}/kill", CONTAINER, signal="SIGQUIT")

    def start(self, memory: Memory) -> bool:
        found = self._engine.get("/containers/{}/json", CONTAINER) if "restart_policy" in memory else None
        if found is None:
            return True
        running = found["State"]["Running"]
        if running and found["State"]["StartedAt"] == memory["started_at"]:
            return False
        self._engine.post("/containers/{}/update", CONTAINER, body={"RestartPolicy": memory["restart_policy"]})
        if not running:
            self._engine.post("/containers/{}/start", CONTAINER)
        return True


class Service:
    """The service of a swarm, whose placement excludes engines with a label.

    The label of the node is not ours to change: only managers can. An engine's own labels stand in its daemon.json, it
    takes them on SIGHUP, and its swarm hears of them within 20 seconds.
    https://github.com/moby/swarmkit/blob/master/agent/agent.go (nodeUpdatePeriod)
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def stop(self, memory: Memory, remember: Callable[[Memory], None]) -> None:
        self._label(True)

    def start(self, memory: Memory) -> bool:
        self._label(False)
        return True

    def _label(self, wanted: bool) -> None:
        """Put the label into daemon.json or take it out, and have the engine reload the file if that changed it."""
        seen = atomic_file.read(self._path)
        config = _parsed(self._path, seen.content)
        labels = config.get("labels", [])
        if (LABEL in labels) == wanted:
            return
        config["labels"] = [label for label in labels if label != LABEL] + ([LABEL] if wanted else [])
        content = json.dumps(config, indent=4, ensure_ascii=False) + "\n"
        # An empty list is not taken out: an engine that reloads a file without the key keeps its labels.
        expected = seen.sha256 or "absent"
        atomic_file.replace(self._path, content.encode(), expected_sha256=expected, mode=seen.mode or 0o644)
        reload_engine()


class Unit:
    """The unit of GitLab's package, which stops with SIGQUIT. Disabled, so that a reboot does not start it again."""

    def stop(self, memory: Memory, remember: Callable[[Memory], None]) -> None:
        if self._state() not in ("active", "activating", "reloading"):
            return
        remember({"unit": UNIT})
        systemctl("GitLab Runner does not stop", "disable", "--quiet", UNIT)
        systemctl("GitLab Runner does not stop", "stop", "--no-block", UNIT)

    def start(self, memory: Memory) -> bool:
        if "unit" not in memory or self._show("LoadState") == "not-found":
            return True
        if self._state() == "deactivating":
            return False
        systemctl("GitLab Runner does not start", "enable", "--quiet", UNIT)
        systemctl("GitLab Runner does not start", "start", "--no-block", UNIT)
        return True

    def _state(self) -> str:
        return self._show("ActiveState")

    def _show(self, name: str) -> str:
        failure = "The state of GitLab Runner is not known"
        return systemctl(failure, "show", f"--property={name}", "--value", UNIT).strip()


def _parsed(path: str, content: bytes | None) -> dict[str, Any]:
    try:
        config = json.loads(content or b"{}")
    except ValueError as error:
        raise RunnerError(f"{path} is not JSON, so GitLab Runner cannot be kept off this node: {error}.") from error
    if not isinstance(config, dict) or not isinstance(config.get("labels", []), list):
        raise RunnerError(f"{path} is no JSON object with a list of labels: correct it.")
    return config


def reload_engine() -> None:
    """Raises RunnerError."""
    systemctl("Docker Engine does not reload its configuration", "reload", "docker.service")


def systemctl(failure: str, *arguments: str) -> str:
    """Return the standard output. Raises RunnerError, which begins with the failure."""
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RunnerError(f"{failure}: {done.stderr.strip()}.")
    return done.stdout


def way(deployment: str, engine: Engine) -> Way:
    """The way of a deployment, as gitlab_runner_deployment names it. Raises RunnerError for another name."""
    ways: dict[str, Callable[[], Way]] = {
        "container": lambda: Container(engine),
        "service": lambda: Service(DAEMON_JSON),
        "package": Unit,
    }
    if deployment not in ways:
        raise RunnerError(f"{deployment} is no deployment of GitLab Runner that can be stopped: {', '.join(ways)} are.")
    return ways[deployment]()
