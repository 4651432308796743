# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that stops GitLab Runner, with a systemctl and a docker that note how they are called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import jinja2
import pytest
import yaml
from plays.play import ROOT

TASKS = ROOT / "roles" / "gitlab_runner" / "tasks" / "stop_process.yml"
PROGRAM = """#!/bin/sh
case "$*" in show*) echo {active} ;; ps*) echo {container} ;; *) echo "$(basename "$0") $*" >>{calls} ;; esac
"""


def stop(directory: Path, *, active: str = "inactive", container: str = "", ours: bool = True) -> tuple[str, list[str]]:
    """What the script prints, and the calls that change something; `ours`: the unit has the drop-in of the role."""
    drop_in, calls = directory / "drop-in.conf", directory / "calls"
    calls.touch()
    if ours:
        drop_in.touch()
    for name in ("systemctl", "docker"):
        (directory / name).write_text(PROGRAM.format(active=active, container=container, calls=calls))
        (directory / name).chmod(0o755)
    [task] = yaml.safe_load(TASKS.read_text())
    script = jinja2.Template(task["ansible.builtin.shell"], undefined=jinja2.StrictUndefined).render(
        _gitlab_runner_name="gitlab-runner",
        _gitlab_runner_unit="gitlab-runner.service",
        _gitlab_runner_drop_in_path=drop_in,
        _gitlab_runner_restart_marker=directory / ".restart-pending",
        gitlab_runner_config_dir=directory,
        gitlab_runner_stop_timeout=7200,
    )
    path = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
    done = subprocess.run(["/bin/sh", "-c", script], env=path, capture_output=True, text=True, check=True)
    assert (directory / ".restart-pending").exists() == bool(calls.read_text()), "on the disk before the signal"
    return done.stdout.strip(), calls.read_text().splitlines()


def test_the_unit_stops_as_its_files_say_also_where_a_play_died_before_systemd_read_them(tmp_path: Path) -> None:
    """systemd stops a unit as it has read it last: without the drop-in that is with SIGTERM, under the running jobs."""
    stopped = ["systemctl daemon-reload", "systemctl stop gitlab-runner.service"]
    assert stop(tmp_path, active="active") == ("gitlab-runner.service", stopped)


@pytest.mark.parametrize("active", ["inactive", "failed"])
def test_nothing_runs(tmp_path: Path, active: str) -> None:
    assert stop(tmp_path, active=active) == ("", [])


def test_a_unit_that_is_not_ours_goes_on(tmp_path: Path) -> None:
    assert stop(tmp_path, active="active", ours=False) == ("", [])


def test_the_container_has_as_long_as_the_jobs_may_take(tmp_path: Path) -> None:
    assert stop(tmp_path, container="0123")[1] == ["docker stop -t 7200 0123"]
