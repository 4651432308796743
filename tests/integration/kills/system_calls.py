# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls with which the module changes something on a Pi's disk, as strace sees them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from simulated_pi import ROOM, TRACES

# What changes nothing on a disk. A call that is missing here counts as a change.
LOOKS = {"access", "close", "flock", "fstat", "getdents64", "ioctl", "lseek", "lstat", "newfstatat", "read", "readlink"}
LOOKS |= {"faccessat", "faccessat2", "open", "openat", "readlinkat", "stat", "statx"}
CREATES = re.compile(r"\bO_(CREAT|TRUNC)\b")


@dataclass(frozen=True)
class SystemCall:
    execution: int
    """Of the module in its play, from 1."""
    name: str
    number: int = field(compare=False)
    """Among the calls of that name in that execution, from 1. It depends on the Pi's Python."""
    paths: tuple[str, ...]

    @property
    def tracer(self) -> str:
        """The command under which the module dies at the entrance of this call."""
        return f"{tracer(self.execution)}-e inject={self.name}:signal=KILL:when={self.number} "


def tracer(execution: int) -> str:
    """The command under which an execution of the module runs undisturbed."""
    return f"strace -y -s 0 -e trace=%file,%desc -o {TRACES}/{execution} "


def changes(trace: str, execution: int) -> list[SystemCall]:
    """The calls that change something in the room that the test has on the Pi."""
    seen = Counter[str]()
    found = []
    for line in trace.splitlines():
        name = line.partition("(")[0]
        seen[name] += 1
        paths = [re.sub(r"pifleet-\w{8}$", "pifleet-*", path) for path in re.findall(rf"{ROOM}[^\">]*", line)]
        if paths and (name not in LOOKS or CREATES.search(line)):
            found.append(SystemCall(execution, name, seen[name], tuple(dict.fromkeys(paths))))
    return found
