# SPDX-License-Identifier: GPL-3.0-or-later
"""The cgroups of a cluster. Every process of it is in them, so they also say which processes are its own: those that
make it, too, with all that they have started when they are killed.

The node sees its own cgroup as the root of each hierarchy: what the kubelet and containerd make is below it and is
neither another node's nor another engine's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.host import LabError

_OUTSIDE, _INSIDE = "outside", "init"
_CLONE_NEWCGROUP = 0x02000000
_SECONDS = 30.0


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup hierarchy. options: which of cgroup v1 it is, empty for cgroup v2."""

    path: Path
    options: str

    @property
    def is_v2(self) -> bool:
        return not self.options


def hierarchies(mountinfo: str) -> list[Hierarchy]:
    """Those in a /proc/self/mountinfo, each once."""
    found: dict[str, Hierarchy] = {}
    for line in mountinfo.splitlines():
        mount, _, file_system = line.partition(" - ")
        kind, _source, options = file_system.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            chosen = [option for option in options.split(",") if option not in ("rw", "ro", "xattr")]
            name = "" if kind == "cgroup2" else ",".join(chosen)
            found.setdefault(name, Hierarchy(Path(mount.split(" ")[4]), name))
    return list(found.values())


def mounted() -> list[Hierarchy]:
    """The hierarchies of this machine. Raises LabError if there are none, as in some containers."""
    found = hierarchies(Path("/proc/self/mountinfo").read_text())
    if not found:
        raise LabError("No cgroup file system is mounted here, without which no kubelet runs.")
    return found


def create(name: str) -> None:
    """Make the cgroups of a cluster, with a leaf for the process that waits for the node from outside.

    In cgroup v2 only leaves hold processes, once they share out what they have.
    """
    for hierarchy in mounted():
        top = hierarchy.path / name
        for path in (top, top / _OUTSIDE):
            path.mkdir(exist_ok=True)
            _fill_cpuset(path)


@contextmanager
def member(name: str) -> Iterator[None]:
    """Keep this process, and with it what it starts, in the cgroups of a cluster while the block runs."""
    before = own_paths(Path("/proc/self/cgroup").read_text())
    enter(name, outside=True)
    try:
        yield
    finally:
        for hierarchy in mounted():
            _move_to(hierarchy.path / before[hierarchy.options].lstrip("/"))


def own_paths(text: str) -> dict[str, str]:
    """What a /proc/self/cgroup says: paths by the options of their hierarchies."""
    lines = [line.split(":", 2) for line in text.splitlines()]
    return {options: path for _number, options, path in lines}


def enter(name: str, *, outside: bool = False) -> None:
    """Move this process into the cgroups of a cluster. Raises OSError once they are gone."""
    for hierarchy in mounted():
        _move_to(hierarchy.path / name / (_OUTSIDE if outside else ""))


def _move_to(path: Path) -> None:
    (path / "cgroup.procs").write_text("0")


def become_root() -> None:
    """Let this process, and all that it starts, see the cgroups that it is in as the roots, and nothing beside them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWCGROUP) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWCGROUP)")
    for hierarchy in mounted():
        kind = ("cgroup2",) if hierarchy.is_v2 else ("cgroup", "-o", hierarchy.options)
        subprocess.run(["umount", str(hierarchy.path)], check=True)  # in this mount namespace only
        subprocess.run(["mount", "-t", *kind, "pifleet", str(hierarchy.path)], check=True)
        if hierarchy.is_v2:
            leaf = hierarchy.path / _INSIDE
            leaf.mkdir()
            (leaf / "cgroup.procs").write_text("0")
            controllers = (hierarchy.path / "cgroup.controllers").read_text().split()
            (hierarchy.path / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))


def processes(name: str) -> set[int]:
    """The ids of the processes that a cluster has."""
    return {int(line) for path in _all(name) for line in _lines(path / "cgroup.procs")}


def remove(name: str) -> None:
    """End every process of a cluster and remove its cgroups. Raises LabError if one of them does not end."""
    deadline = time.monotonic() + _SECONDS
    while any(hierarchy.path.joinpath(name).exists() for hierarchy in mounted()):
        for pid in processes(name):
            with suppress(ProcessLookupError):  # it has ended since
                os.kill(pid, signal.SIGKILL)
        for path in _all(name):
            with suppress(OSError):  # a process in it is still ending; the next round meets it again
                path.rmdir()
        if time.monotonic() > deadline:
            raise LabError(f"The cgroups {name} cannot be removed: processes {sorted(processes(name))} do not end.")
        time.sleep(0.05)


def _all(name: str) -> list[Path]:
    """The cgroups of a cluster, those deepest down first."""
    return [path for hierarchy in mounted() for path in _below(hierarchy.path / name)]


def _below(top: Path) -> Iterator[Path]:
    for folder, _folders, _files in os.walk(top, topdown=False):
        yield Path(folder)


def _lines(path: Path) -> Iterable[str]:
    try:
        return path.read_text().split()
    except OSError:  # gone since, or its last process is going
        return ()


def _fill_cpuset(path: Path) -> None:
    """In cgroup v1 a new cpuset has no processor and takes no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = path / name
        if file.exists() and path.joinpath("tasks").exists() and not file.read_text().strip():
            file.write_text((path.parent / name).read_text())
