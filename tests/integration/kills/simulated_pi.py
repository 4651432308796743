# SPDX-License-Identifier: GPL-3.0-or-later
"""A Pi of the lab as the host of plays, with a config.toml apart from the one that makes the Pi part of a fleet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from lab.fleet import Lab

ROOM = Path("/var/lib/pifleet-kills")
TRACES = Path("/run/pifleet-kills")


class SimulatedPi:
    """Plays reach it as the lab's inventory says: as `pi`, over SSH, with sudo."""

    python = "/usr/bin/python3"
    config = ROOM / "gitlab-runner" / "config.toml"
    carrier: Sequence[str] = ("ssh",)

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.inventory = str(lab.folder / "inventory")
        self.variables: Mapping[str, Any] = {"ansible_become": True}

    def put(self, files: Mapping[str, str]) -> None:
        directory = self.config.parent
        commands = ["umask 077", f"rm -rf {ROOM} {TRACES}", f"mkdir {ROOM} {TRACES}"]
        commands += [f"mkdir {directory}"] if files else []
        commands += [f"printf %s {quote(content)} >{directory / name}" for name, content in files.items()]
        self.lab.ssh(self.name, " && ".join(commands))

    def files(self) -> dict[str, str]:
        program = (
            "import json, pathlib;"
            f"found = pathlib.Path({str(self.config.parent)!r}).glob('*');"
            "print(json.dumps({path.name: path.read_text() for path in found}))"
        )
        files: dict[str, str] = json.loads(self.lab.ssh(self.name, f"{self.python} -c {quote(program)}"))
        return files

    def trace(self, execution: int) -> str:
        """What strace wrote about the so-manieth execution of the module in the last play."""
        return self.lab.ssh(self.name, f"cat {TRACES}/{execution}")

    def clean(self) -> None:
        self.lab.ssh(self.name, f"rm -rf {ROOM} {TRACES}")
