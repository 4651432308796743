# SPDX-License-Identifier: GPL-3.0-or-later
"""A real play over the real ssh connection plugin. ssh itself is a script that runs the command here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

SSH = """#!/bin/sh
for last; do :; done
echo "$last" >>"{calls}"
exec /bin/sh -c "$last"
"""


class Play:
    """Runs tasks of one core; `directory` stands for the control node's home and for the hosts."""

    def __init__(self, program: str, directory: Path) -> None:
        self.program, self.directory = program, directory
        self.config = directory / "etc" / "config.toml"
        self.calls = directory / "calls"
        self.ssh = directory / "ssh"
        directory.mkdir(exist_ok=True)
        (directory / "ansible.cfg").touch()
        self.ssh.write_text(SSH.format(calls=self.calls))
        self.ssh.chmod(0o755)

    def run(
        self, tasks: list[dict[str, Any]], *arguments: str, verbosity: str = "-v"
    ) -> subprocess.CompletedProcess[str]:
        return self.run_plays([{"hosts": "all", "tasks": tasks}], *arguments, verbosity=verbosity)

    def run_plays(
        self,
        plays: list[dict[str, Any]],
        *arguments: str,
        hosts: Iterable[str] | Path = ("pi-01",),
        verbosity: str = "-v",
        timeout: float = 280,
    ) -> subprocess.CompletedProcess[str]:
        """`hosts` are their names, or an inventory. timeout: seconds for all of the plays."""
        self.calls.write_text("")
        playbook = self.directory / "play.yml"
        playbook.write_text(json.dumps([{"gather_facts": False, **play} for play in plays], indent=1))
        inventory = str(hosts) if isinstance(hosts, Path) else "".join(f"{host}," for host in hosts)
        variables = json.dumps(self.variables)
        command = [self.program, "-i", inventory, verbosity, "-e", variables, *arguments, str(playbook)]
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,  # Ansible refuses a non-blocking one, which ssh may make of what it shares
            capture_output=True,
            text=True,
            env=self.environment,
            check=False,
            cwd=self.directory,
            timeout=timeout,
            umask=0o022,
        )

    @property
    def variables(self) -> dict[str, Any]:
        return {
            "ansible_connection": "ansible.builtin.ssh",
            "ansible_ssh_executable": str(self.ssh),
            "ansible_pipelining": True,
            "ansible_remote_tmp": str(self.directory / "tmp"),
            "ansible_python_interpreter": sys.executable,
        }

    @property
    def environment(self) -> dict[str, str]:
        """Ours without what concerns Ansible and Python."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        return {
            **ours,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "collections"),
            "ANSIBLE_HOME": str(self.directory / "ansible"),
            "ANSIBLE_CONFIG": str(self.directory / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        }

    @property
    def module_executions(self) -> int:
        return sum(sys.executable in call for call in self.calls.read_text().splitlines())
