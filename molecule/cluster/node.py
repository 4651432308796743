# SPDX-License-Identifier: GPL-3.0-or-later
"""The node: a process in namespaces of its own that starts the components and ends with the first that ends.

`python -m cluster.node outside FOLDER NETWORK` enters cgroups and namespaces; `... inside FOLDER` is then PID 1, with
which all of the node ends. /run, /tmp, /var/lib and /var/log are the node's own: it meets no other engine there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lab.host import LabError

from . import cgroups
from .components import ACCESS, CONFIG, CONTAINERD_SOCKET, CONTEXT, DATA, IMAGES, LOGS, MOUNT, PROGRAM, commands, files
from .place import Place, say

_PRIVATE = ("run", "tmp", "var/lib", "var/log")
_KUBELET_PORT = "10250"
_SYSCTLS = {
    # What the kubelet sets where it finds something else. They are the machine's, so it finds this instead of them:
    # https://github.com/kubernetes/component-helpers/blob/v0.35.4/node/util/sysctl/sysctl.go
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
_CTR = ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]
_READY = {
    "kube-apiserver": [
        str(PROGRAM),
        "kubectl",
        f"--kubeconfig={ACCESS}/admin.kubeconfig",
        "--context",
        CONTEXT,
        "get",
        "--raw",
        "/readyz",
    ],
    "containerd": [*_CTR, "version"],
}  # fmt: skip
_SECONDS = 120


def outside(place: Place, network: str) -> None:
    """Become the process that waits for PID 1 of the node. network: the path of its namespace."""
    cgroups.enter(place.kernel_name, outside=True)
    inside = [sys.executable, "-m", "cluster.node", "inside", str(place.folder)]
    namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    os.execvp("nsenter", ["nsenter", f"--net={network}", "unshare", *namespaces, *inside])


def inside(place: Place) -> int:
    """Run the node until a component ends, and return 1 then."""
    address = (place.folder / "address").read_text()
    cgroups.enter(place.kernel_name)
    _mount(place.folder)
    cgroups.become_root()
    _close_kubelet()
    _write_files()
    running: dict[str, subprocess.Popen[bytes]] = {}
    for name, command in commands(address).items():
        running[name] = _start(name, command)
        if name in _READY:
            _wait_until(name, running[name], _READY[name])
        if name == "containerd":
            _import_images()
    names = {process.pid: name for name, process in running.items()}
    while True:
        pid, status = os.wait()  # also for orphans, which PID 1 inherits
        if pid in names:
            say(f"{names[pid]} has ended with {os.waitstatus_to_exitcode(status)}; its log says why")
            return 1


def _mount(folder: Path) -> None:
    """Put the cluster's directory at MOUNT, and empty directories over what is the machine's."""
    _bind(folder, Path(MOUNT))
    for name in _PRIVATE:
        directory = Path(MOUNT) / "private" / name
        directory.mkdir(parents=True)
        _bind(directory, Path("/") / name)
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    for name, value in _SYSCTLS.items():
        file = Path(MOUNT) / "private" / name.replace("/", "_")
        file.write_text(f"{value}\n")
        _bind(file, Path("/proc/sys") / name)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")  # of the network namespace


def _bind(source: Path, target: Path) -> None:
    subprocess.run(["mount", "--rbind", str(source), str(target)], check=True)


def _close_kubelet() -> None:
    """Whoever reaches the kubelet's port may do anything in every pod."""
    rule = ["INPUT", "!", "--in-interface", "lo", "--protocol", "tcp", "--dport", _KUBELET_PORT, "--jump", "DROP"]
    subprocess.run(["iptables", "--append", *rule], check=True)


def _write_files() -> None:
    for name, text in files().items():
        path = Path(CONFIG / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    Path(LOGS).mkdir()
    Path(DATA).mkdir()
    Path(DATA / "etcd").mkdir(mode=0o700)


def _start(name: str, command: list[str]) -> subprocess.Popen[bytes]:
    with Path(LOGS / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _wait_until(name: str, process: subprocess.Popen[bytes], probe: list[str]) -> None:
    """Wait for a component without which the next ones give up. Raises LabError."""
    deadline = time.monotonic() + _SECONDS
    while subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        if process.poll() is not None:
            raise LabError(f"{name} has ended with {process.returncode}; its log says why")
        if time.monotonic() > deadline:
            raise LabError(f"{name} does not answer after {_SECONDS} s; its log says why")
        time.sleep(0.2)


def _import_images() -> None:
    for archive in sorted(Path(IMAGES).iterdir()):
        subprocess.run([*_CTR, "images", "import", str(archive)], check=True)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_arguments: sys.exit(0))
    stage, folder, *rest = sys.argv[1:]
    place = Place(Path(folder).name, Path(folder).parent)
    if stage == "outside":
        outside(place, *rest)
    try:
        return inside(place)
    except LabError as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
