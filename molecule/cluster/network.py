# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a cluster: a namespace of its own with a cable to this machine, none of whose rules change."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.host import LabError, run

from .place import locked

_POOL = ipaddress.IPv4Network("10.199.0.0/16")
_INTERFACE = "eth0"
PODS, SERVICES = ipaddress.ip_network("10.244.0.0/24"), ipaddress.ip_network("10.96.0.0/16")
"""Seen inside the cluster only: what leaves it has the node's address."""


@dataclass(frozen=True)
class Network:
    """namespace: a path. host: this machine's address, at which pods reach it. node: the node's address."""

    namespace: str
    host: str
    node: str


def free_network(taken: Iterable[str]) -> ipaddress.IPv4Network:
    """A network of four addresses that overlaps none of those taken. Raises LabError."""
    used = [ipaddress.ip_network(each) for each in taken]
    for candidate in _POOL.subnets(new_prefix=30):
        if not any(candidate.overlaps(each) for each in used):
            return candidate
    raise LabError(f"There is no free network in {_POOL}, which this machine has routes for.")


def connect(name: str) -> Network:
    """Make the namespace and the cable, both called by that name."""
    with locked("network"):
        network = free_network(_taken())
        host, node = network.hosts()
        _ip("netns", "add", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", _INTERFACE, "netns", name)
        _ip("address", "add", f"{host}/{network.prefixlen}", "dev", name)
        _ip("link", "set", name, "up")
    _ip("-n", name, "address", "add", f"{node}/{network.prefixlen}", "dev", _INTERFACE)
    for interface in ("lo", _INTERFACE):
        _ip("-n", name, "link", "set", interface, "up")
    _ip("-n", name, "route", "add", "default", "via", str(host))
    return Network(f"/run/netns/{name}", str(host), str(node))


def is_connected(name: str) -> bool:
    return Path(f"/run/netns/{name}").exists()


def disconnect(name: str) -> None:
    """Remove what is there of it. The cable goes with the namespace, or by itself where that was not made yet."""
    if is_connected(name):
        _ip("netns", "delete", name)
    subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)  # the kernel takes its time


def _taken() -> list[str]:
    """The networks of this machine's routes: of its own interfaces, and those behind a VPN."""
    routes = json.loads(run("ip", "-json", "-4", "route"))
    return [route["dst"] for route in routes if route["dst"] != "default"]


def _ip(*arguments: str) -> None:
    run("ip", *arguments)
