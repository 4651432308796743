# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of a play as the tests see it, and a directory of this machine that stands for one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Host(Protocol):
    name: str
    inventory: str
    """What ansible-playbook -i takes."""
    config: Path
    """config.toml, as the host knows it."""
    python: str
    carrier: Sequence[str]
    """The program that carries a command there; none where it runs on this machine."""
    variables: Mapping[str, Any]

    def put(self, files: Mapping[str, str]) -> None:
        """Have these files in the directory of config.toml and nothing else; without any, no directory."""

    def files(self) -> dict[str, str]:
        """What is in the directory of config.toml."""
        ...


class LocalHost:
    """A directory. It has a system ID from the start, for the machine may have nothing that one could be made from."""

    name = "pi-01"
    inventory = "pi-01,"
    python = sys.executable
    carrier: Sequence[str] = ()

    def __init__(self, directory: Path) -> None:
        self.config = directory / "etc" / "config.toml"
        self.variables: Mapping[str, Any] = {"ansible_remote_tmp": str(directory / "tmp")}

    def put(self, files: Mapping[str, str]) -> None:
        shutil.rmtree(self.config.parent, ignore_errors=True)
        self.config.parent.mkdir(mode=0o700)
        for name, content in {".runner_system_id": "s_000000000001", **files}.items():
            path = self.config.parent / name
            path.touch(mode=0o600)
            path.write_text(content)

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.config.parent.glob("*")}
