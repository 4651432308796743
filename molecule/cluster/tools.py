# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters of kind and k3d, which are containers of this machine's Docker engine."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.host import LabError, docker

from .choice import Tool
from .images import write_archives
from .place import Place, say


@dataclass(frozen=True)
class Commands:
    """How a tool is told what to do. Each takes the cluster's name and its kubeconfig; `load` a file instead of that.

    `create` also takes options, which both tools have.

    Neither writes into the kubeconfig of the user.
    """

    create: Callable[[str, Path, list[str]], list[list[str]]]
    delete: Callable[[str, Path], list[str]]
    load: Callable[[str, Path], list[str]]
    network: Callable[[str], str]
    """Of the engine."""


COMMANDS = {
    "kind": Commands(
        create=lambda name, file, options: [
            ["kind", "create", "cluster", "--name", name, "--kubeconfig", str(file), "--wait", "180s", *options]
        ],
        delete=lambda name, file: ["kind", "delete", "cluster", "--name", name, "--kubeconfig", str(file)],
        load=lambda name, archive: ["kind", "load", "image-archive", str(archive), "--name", name],
        network=lambda _name: "kind",
    ),
    "k3d": Commands(
        create=lambda name, file, options: [
            [
                "k3d", "cluster", "create", name, "--wait",
                # as kind does; k3d would listen at every address of this machine
                "--api-port", "127.0.0.1:random",
                "--kubeconfig-update-default=false", "--kubeconfig-switch-context=false", *options,
            ],
            ["k3d", "kubeconfig", "write", name, "--output", str(file)],
        ],
        delete=lambda name, _file: ["k3d", "cluster", "delete", name],
        load=lambda name, archive: ["k3d", "image", "import", str(archive), "--cluster", name],
        network=lambda name: f"k3d-{name}",
    ),
}  # fmt: skip


def start(tool: Tool, place: Place) -> str:
    """Make a bare cluster with the images, and return this machine's address for its pods. Raises LabError."""
    commands = COMMANDS[tool.name]
    options = ["--image", tool.node_image] if tool.node_image else []
    say(f"{tool.name} makes the cluster {place.kernel_name}")
    for command in commands.create(place.kernel_name, kubeconfig(place), options):
        _run(command)
    with tempfile.TemporaryDirectory(prefix="pifleet-images-") as folder:
        for archive in write_archives(Path(folder), pause=None):
            load(tool.name, place, archive)
    return gateway(json.loads(docker("network", "inspect", commands.network(place.kernel_name))))


def load(tool: str, place: Place, archive: Path) -> None:
    """Give the nodes the image of a file as `docker save` writes it. Raises LabError."""
    _run(COMMANDS[tool].load(place.kernel_name, archive))


def stop(tool: str, place: Place) -> None:
    """Remove the cluster, if there is one."""
    _run(COMMANDS[tool].delete(place.kernel_name, kubeconfig(place)))


def is_running(tool: str, place: Place) -> bool:
    """Whether the tool knows the cluster and its kubeconfig is there."""
    listed = {"kind": ["kind", "get", "clusters"], "k3d": ["k3d", "cluster", "list", "--no-headers"]}[tool]
    names = [line.split()[0] for line in _run(listed).splitlines() if line.strip()]
    return place.kernel_name in names and kubeconfig(place).is_file()


def context(tool: str, place: Place) -> str:
    return f"{tool}-{place.kernel_name}"


def kubeconfig(place: Place) -> Path:
    return place.folder / "kubeconfig"


def gateway(networks: Sequence[dict[str, dict[str, list[dict[str, str]]]]]) -> str:
    """This machine's IPv4 address in the first network of a `docker network inspect`. Raises LabError."""
    for network in networks:
        for settings in network["IPAM"]["Config"]:
            if "." in settings.get("Gateway", ""):
                return settings["Gateway"].split("/")[0]
    raise LabError("The network of the cluster's containers has no IPv4 gateway, at which pods would reach GitLab.")


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(command)}` failed with {done.returncode}: {done.stderr.strip()[-1500:]}")
    return done.stdout
