# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_register in real plays, over the real ssh connection plugin, and with SIGKILL at every event.

ssh itself is a script that runs the command here, so that everything the plugin would log of a host's replies can be
seen. Each of its executions of our module is a file operation; before or after any of them, and before or after any
request, everything that belongs to the play can be killed, the module on the "host" included.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_gitlab import Cut
from fake_gitlab.journal import Entry
from registration_kill import MARK, kill_all
from registration_world import World

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOKS = os.environ.get("PIFLEET_ANSIBLE_PLAYBOOKS", str(Path(sys.executable).with_name("ansible-playbook")))

SSH = """#!/bin/sh
for last; do :; done
case "$last" in *"{python}"*) ;; *) exec /bin/sh -c "$last" ;; esac
echo module >>"{calls}"
moment=$(wc -l <"{calls}")
[ "$moment before" = "$(cat "{strike}")" ] && exec "{python}" "{killer}"
[ "$moment after" = "$(cat "{strike}")" ] || exec /bin/sh -c "$last"
/bin/sh -c "$last" >/dev/null
exec "{python}" "{killer}"
"""


class Play:
    """Runs one registration task against a directory that stands for the host."""

    def __init__(self, program: str, directory: Path, world: World) -> None:
        self.program, self.directory, self.world = program, directory, world
        self.config = directory / "etc" / "config.toml"
        self.calls, self.strike = directory / "calls", directory / "strike"
        self.mark = uuid.uuid4().hex
        (directory / "ansible.cfg").touch()
        killer = directory / "killer.py"
        killer.write_text(f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n{KILLER}")
        places = {"calls": self.calls, "strike": self.strike, "killer": killer, "python": sys.executable}
        ssh = directory / "ssh"
        ssh.write_text(SSH.format(**places))
        ssh.chmod(0o755)

    def register(
        self, *arguments: str, host: str = "pi-01", verbosity: str = "-v", strike: str = "", **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """One play. `strike`: "3 before" or "3 after" kills it at the third execution of our module."""
        self.calls.write_text("")
        self.strike.write_text(strike)
        task = {"pifleet.ci.gitlab_runner_register": self.world.options(config_path=str(self.config), **options)}
        show = {"ansible.builtin.debug": {"msg": "ACTIONS={{ done.actions | to_json }}"}}
        return self.run([{**task, "register": "done"}, show], host, verbosity, *arguments)

    def run(
        self, tasks: list[dict[str, Any]], host: str, verbosity: str, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        playbook = self.directory / "play.yml"
        playbook.write_text(json.dumps([{"hosts": host, "gather_facts": False, "tasks": tasks}]))
        variables = {
            "ansible_connection": "ansible.builtin.ssh",
            "ansible_ssh_executable": str(self.directory / "ssh"),
            "ansible_pipelining": True,
            "ansible_remote_tmp": str(self.directory / "tmp"),
            "ansible_python_interpreter": sys.executable,
        }
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHONPATH"))},
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "collections"),
            "ANSIBLE_HOME": str(self.directory / "ansible"),
            "ANSIBLE_CONFIG": str(self.directory / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            MARK: self.mark,
        }
        command = [self.program, "-i", f"{host},", verbosity, "-e", json.dumps(variables), *arguments, str(playbook)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, cwd=self.directory, timeout=120
        )

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

    def live(self) -> None:
        self.world.gitlab.before_request = self.world.gitlab.after_commit = None


KILLER = f"""
import os
from registration_kill import kill_all
kill_all(os.environ["{MARK}"])
"""


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
