# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_register in real plays, over the real ssh connection plugin, and with SIGKILL at every event.

What the plugin takes for ssh is registration_ssh.py, so that everything it would log of a host's replies can be seen,
and so that everything which belongs to the play on this machine can be killed before or after any execution of our
module, as it can before or after any request.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import registration_ssh
from fake_gitlab import Cut
from fake_gitlab.journal import Entry
from registration_host import Host, LocalHost
from registration_kill import MARK, kill_all
from registration_ssh import WATCH
from registration_world import World

ROOT = Path(__file__).resolve().parents[3]
SHOW_ACTIONS = {"ansible.builtin.debug": {"msg": "ACTIONS={{ done.actions | to_json }}"}}


class Play:
    """Runs registration tasks against a host; what the control node keeps is in a directory."""

    def __init__(self, program: str, directory: Path, world: World, host: Host | None = None) -> None:
        self.program, self.directory, self.world = program, directory, world
        self.host: Host = host or LocalHost(directory)
        self.config, self.calls = self.host.config, directory / "calls"
        self.mark = uuid.uuid4().hex[:12]
        self.live()
        (directory / "ansible.cfg").touch()
        ssh = directory / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{registration_ssh.__file__}" "$@"\n')
        ssh.chmod(0o755)

    def register(self, *arguments: str, verbosity: str = "-v", **options: Any) -> subprocess.CompletedProcess[str]:
        """One play with one registration, which shows its actions."""
        return self.run([self.task(**options), SHOW_ACTIONS], self.host.name, verbosity, *arguments)

    def task(self, **options: Any) -> dict[str, Any]:
        options = self.world.options(config_path=str(self.config), **options)
        return {"pifleet.ci.gitlab_runner_register": options, "register": "done"}

    def run(
        self, tasks: list[dict[str, Any]], host: str, verbosity: str, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        playbook = self.directory / "play.yml"
        playbook.write_text(json.dumps([{"hosts": host, "gather_facts": False, "tasks": tasks}]))
        variables = {
            "ansible_connection": "ansible.builtin.ssh",
            "ansible_ssh_executable": str(self.directory / "ssh"),
            "ansible_pipelining": True,
            "ansible_python_interpreter": self.host.python,
            **self.host.variables,
        }
        self.calls.write_text("")
        watch = {
            "calls": str(self.calls),
            "python": self.host.python,
            "carrier": self.host.carrier,
            "strike": self.strike,
            "under": self.under,
        }
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHONPATH"))},
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "collections"),
            "ANSIBLE_HOME": str(self.directory / "ansible"),
            "ANSIBLE_CONFIG": str(self.directory / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_TIMEOUT": "60",  # several plays at once on a small machine: sudo's prompt may take a while
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.directory / self.mark),
            MARK: self.mark,
            WATCH: json.dumps(watch),
        }
        options = ["-i", self.host.inventory, verbosity, "-e", json.dumps(variables)]
        return subprocess.run(
            [self.program, *options, *arguments, str(playbook)],
            stdin=subprocess.DEVNULL,  # Ansible refuses a non-blocking one, which ssh may make of what it shares
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            cwd=self.directory,
            timeout=120,
        )

    @cached_property
    def system_id(self) -> str:
        """The host's system ID: what the module makes it when it finds the host bare."""
        self.host.put({})
        if ".runner_system_id" not in self.host.files():
            recap(self.register())
        return self.host.files()[".runner_system_id"]

    @property
    def module_executions(self) -> int:
        return len(self.calls.read_text().splitlines())

    def kill_at_request(self, number: int, when: str) -> None:
        """Arrange that the play dies at the so-manieth request from now, before GitLab sees it or after it is done."""
        self.world.gitlab.journal.clear()

        def strike(_entry: Entry) -> None:
            if len(self.world.gitlab.journal) == number:
                kill_all(self.mark)
                raise Cut

        hook: Callable[[Entry], None] = strike
        self.world.gitlab.before_request = hook if when == "before" else None
        self.world.gitlab.after_commit = hook if when == "after" else None

    def kill_at_execution(self, number: int, when: str) -> None:
        """Arrange that plays die before or after the so-manieth execution of our module."""
        self.strike = f"{number} {when}"

    def run_under(self, commands: Mapping[int, str]) -> None:
        """Arrange that the so-manieth execution of our module runs under this command, on the host."""
        self.under = dict(commands)

    def live(self) -> None:
        """Let the next play do its work."""
        self.strike, self.under = "", dict[int, str]()
        self.world.gitlab.before_request = self.world.gitlab.after_commit = None


def recap(done: subprocess.CompletedProcess[str]) -> tuple[int, int]:
    counted = re.search(r"pi-0\d +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=(\d+)", done.stdout)
    assert counted, done.stdout + done.stderr
    return int(counted[1]), int(counted[2])


def actions(done: subprocess.CompletedProcess[str]) -> list[str]:
    found = re.search(r"ACTIONS=(\[.*?\])", done.stdout.replace('\\"', '"'))
    assert found, done.stdout + done.stderr
    names: list[str] = json.loads(found[1])
    return names


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert recap(done) == (0, 1)
    return " ".join((done.stdout + done.stderr).split())
