# SPDX-License-Identifier: GPL-3.0-or-later
"""What --diff shows of daemon.json: all of it, or nothing where it has credentials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays.cores import on_every_core
from plays.play import ROOT, Play
from test_engine_decisions import DAEMON_JSON, a_file, host

pytestmark = pytest.mark.slow

SECRET = "hunter2"
PROXY = {"https-proxy": f"http://me:{SECRET}@proxy.example.com:3128"}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def written(play: Play, found: dict[str, Any], options: dict[str, Any]) -> tuple[str, Path]:
    """Let the role's own tasks write the file in place of `found`; return what was said, and the file."""
    file = play.directory / "daemon.json"
    file.write_text(json.dumps(found))
    file.chmod(0o644)
    [_, block] = yaml.safe_load((ROOT / "roles" / "docker" / "tasks" / "configure.yml").read_text())[:2]
    tasks = [task for task in block["block"] if "ansible.builtin.copy" in task]
    assert len(tasks) == 2
    tasks[1]["ansible.builtin.copy"].pop("validate")
    preflight = {"name": "pifleet.ci.docker", "tasks_from": "preflight", "public": True}
    gathered = {**host(**{DAEMON_JSON: a_file(json.dumps(found))}), "held_packages": []}
    gathered["files"] = {
        name.replace("/etc/docker", str(play.directory)): content for name, content in gathered["files"].items()
    }
    variables = {
        "pifleet_host": gathered,
        "docker_daemon_options": options,
        "_docker_daemon_json_path": str(file),
        "_docker_running_json_path": f"{file}.running",
    }
    arguments = ("--diff", "-e", json.dumps(variables))
    done = play.run([{"ansible.builtin.include_role": preflight}, *tasks], *arguments, verbosity="-vvv")
    assert done.returncode == 0, done.stdout + done.stderr
    (play.directory / "daemon.json.running").unlink()
    return done.stdout, file


def test_credentials_are_not_shown_and_only_root_reads_them(play: Play) -> None:
    output, file = written(play, {"debug": True}, {"data-root": "/x"})
    assert '+    "data-root": "/x"' in output
    assert file.stat().st_mode & 0o777 == 0o644
    output, file = written(play, {"debug": True}, {"proxies": PROXY})
    assert SECRET in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    shown = "\n".join(line for line in output.splitlines() if line.startswith(("+", "-", "@@")))
    assert SECRET not in shown
    assert shown == ""
    output, file = written(play, {"proxies": PROXY}, {"proxies": None})
    assert SECRET not in file.read_text()
    assert [line for line in output.splitlines() if line.startswith(("+", "-"))] == []
