# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster that is built here: one node beside this machine's own network, mounts and cgroups."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.host import ROOT, LabError

from . import cgroups, network, program
from .access import ADMIN, write_access
from .components import CONTAINERD_SOCKET, CONTEXT, NODE
from .images import write_archives
from .place import Place, say

_PROGRAMS = {
    # program -> Debian's package
    "containerd": "containerd", "ctr": "containerd", "runc": "runc", "ip": "iproute2", "iptables": "iptables",
    "nsenter": "util-linux", "unshare": "util-linux", "mount": "mount", "mmdebstrap": "mmdebstrap",
}  # fmt: skip
_CNI = Path("/usr/lib/cni/bridge")
_LOG = "node.log"
_SECONDS = 180


def require_means() -> None:
    """Raise LabError with one sentence that says all that is missing for the node, but the build of its program."""
    if os.geteuid() != 0:
        raise LabError("Only root can run the one that is built here: run this as root, or name a cluster of yours.")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = {package for name, package in _PROGRAMS.items() if not shutil.which(name, path=path)}
    if not _CNI.exists():
        missing.add("containernetworking-plugins")
    if missing:
        raise LabError(f"Debian packages are missing ({', '.join(sorted(missing))}): run scripts/setup_cluster.sh.")


@contextmanager
def made(place: Place) -> Iterator[None]:
    """What this process starts while the block runs is part of the cluster, and ends with it. Raises LabError."""
    require_means()
    cgroups.create(place.kernel_name)
    with cgroups.member(place.kernel_name):
        yield


def start(place: Place) -> str:
    """Start a bare cluster in an empty directory, and return this machine's address for its pods. Raises LabError."""
    programs = program.built()
    (place.folder / "images").mkdir()
    write_archives(place.folder / "images", programs / "pause")
    started = time.monotonic()
    net = network.connect(place.kernel_name)
    (place.folder / "address").write_text(net.node)
    write_access(place.folder / "access", net.node)
    _provide(programs / "hyperkube", place.folder / "program")
    _wait_until_ready(place, _start_node(place, net.namespace))
    say(f"node is Ready after {time.monotonic() - started:.0f} s")
    return net.host


def load(place: Place, archive: Path) -> None:
    """Give the node the image of a file as `docker save` writes it. Raises LabError."""
    # Its /run is a directory of the cluster's outside. The path is relative, because that of a socket may not be long.
    socket = f"private{CONTAINERD_SOCKET}"
    command = ["ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", str(archive)]
    done = subprocess.run(command, cwd=place.folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{archive} cannot be given to the node: {done.stderr.strip()[-1500:]}")


def stop(place: Place) -> None:
    """End what runs of a cluster, as far as anything does; its directory is left. Raises LabError."""
    cgroups.remove(place.kernel_name)
    network.disconnect(place.kernel_name)


def is_left(place: Place) -> bool:
    """Whether there is one whose directory somebody has removed."""
    return network.is_connected(place.kernel_name)


def is_running(place: Place) -> bool:
    """Whether the node is there and Ready."""
    return bool(cgroups.processes(place.kernel_name)) and _is_ready(place)


def kubeconfig(place: Place) -> Path:
    """The administrator's."""
    return place.folder / "access" / f"{ADMIN}.kubeconfig"


def _provide(program: Path, folder: Path) -> None:
    """Put the program where the node sees it, which cannot see the cache. It is not copied where that is possible."""
    folder.mkdir()
    try:
        os.link(program, folder / program.name)
    except OSError:  # another file system
        shutil.copy(program, folder)


def _start_node(place: Place, namespace: str) -> subprocess.Popen[bytes]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "molecule"), "PYTHONUNBUFFERED": "1"}
    environment.pop("KUBECONFIG", None)
    with (place.folder / _LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "cluster.node", "outside", str(place.folder), namespace],
            env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _wait_until_ready(place: Place, node: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not _is_ready(place):
        if node.poll() is not None or time.monotonic() > deadline:
            said = (place.folder / _LOG).read_text()[-1500:].strip()
            how = "did not become Ready" if node.returncode is None else "has ended"
            raise LabError(f"The node {how}; its logs are in {place.folder}, and it says: {said}")
        time.sleep(0.5)


def _is_ready(place: Place) -> bool:
    template = "{.status.conditions[?(@.type=='Ready')].status}"
    found = _kubectl(place, "get", "node", NODE, "--output", f"jsonpath={template}")
    return found.returncode == 0 and found.stdout.strip() == "True"


def _kubectl(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    access = [f"--kubeconfig={kubeconfig(place)}", f"--context={CONTEXT}", "--request-timeout=10s"]
    command = [str(place.folder / "program" / "hyperkube"), "kubectl", *access, *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 1, "", "")
