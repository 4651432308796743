# SPDX-License-Identifier: GPL-3.0-or-later
"""Where clusters are kept on this machine, and what tells those of different checkouts apart."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.host import ROOT

STATE = ROOT / ".cluster"


def cache() -> Path:
    """The directory for what every checkout of this user can use."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pifleet" / "kubernetes"


def say(text: str) -> None:
    """Print a line of progress to stderr."""
    print(f"[cluster] {text}", file=sys.stderr, flush=True)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep others of this user who do the same waiting. The lock ends with the process, however that ends."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that has the lock {file.name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Place:
    """A cluster's directory, and the name that the kernel knows its cgroups and its network by."""

    name: str
    state: Path = STATE

    @property
    def folder(self) -> Path:
        return self.state / self.name

    @property
    def kernel_name(self) -> str:
        """The same for the same directory; short enough for a network interface, which has 15 characters."""
        return f"pifleet-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:6]}"
