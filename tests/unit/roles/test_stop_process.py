# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that stops GitLab Runner, with a systemctl and a docker that note how they are called."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jinja2
import pytest
import yaml
from plays.play import ROOT

TASKS = ROOT / "roles" / "gitlab_runner" / "tasks" / "stop_process.yml"
PROGRAM = """#!/bin/sh
case "$*" in
  show*) echo {active} ;;
  ps*) echo {container} ;;
  "-f gitlab-runne[r] run") ;;
  *) echo "$(basename "$0") $*" >>{calls} ;;
esac
"""


def stop(
    directory: Path,
    *,
    active: str = "inactive",
    container: str = "",
    ours: bool = True,
    programs: tuple[str, ...] = ("systemctl", "docker"),
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """What the script says, and the calls that change something; `ours`: the unit has the drop-in of the role."""
    drop_in, calls = directory / "drop-in.conf", directory / "calls"
    calls.touch()
    if ours:
        drop_in.touch()
    for name in programs:
        (directory / name).write_text(PROGRAM.format(active=active, container=container, calls=calls))
        (directory / name).chmod(0o755)
    for name in ("basename", "touch"):
        (directory / name).symlink_to(f"/usr/bin/{name}")
    [task] = yaml.safe_load(TASKS.read_text())
    script = jinja2.Template(task["ansible.builtin.shell"], undefined=jinja2.StrictUndefined).render(
        inventory_hostname="pi-01",
        _gitlab_runner_name="gitlab-runner",
        _gitlab_runner_unit="gitlab-runner.service",
        _gitlab_runner_drop_in_path=drop_in,
        _gitlab_runner_restart_marker=directory / ".restart-pending",
        gitlab_runner_config_dir=directory,
        gitlab_runner_stop_timeout=7200,
    )
    only_these = {"PATH": str(directory)}
    done = subprocess.run(["/bin/sh", "-c", script], env=only_these, capture_output=True, text=True, check=False)
    assert (directory / ".restart-pending").exists() == bool(calls.read_text()), "on the disk before the signal"
    return done, calls.read_text().splitlines()


def test_the_unit_stops_as_its_files_say_also_where_a_play_died_before_systemd_read_them(tmp_path: Path) -> None:
    """systemd stops a unit as it has read it last: without the drop-in that is with SIGTERM, under the running jobs."""
    done, calls = stop(tmp_path, active="active")
    assert (done.returncode, done.stdout.strip()) == (0, "gitlab-runner.service")
    assert calls == ["systemctl daemon-reload", "systemctl stop gitlab-runner.service"]


@pytest.mark.parametrize("active", ["inactive", "failed"])
def test_nothing_runs(tmp_path: Path, active: str) -> None:
    done, calls = stop(tmp_path, active=active)
    assert (done.returncode, done.stdout, calls) == (0, "", [])


def test_a_unit_that_is_not_ours_goes_on(tmp_path: Path) -> None:
    done, calls = stop(tmp_path, active="active", ours=False)
    assert (done.returncode, done.stdout, calls) == (0, "", [])


def test_the_container_has_as_long_as_the_jobs_may_take(tmp_path: Path) -> None:
    assert stop(tmp_path, container="0123", ours=False)[1] == ["docker stop -t 7200 0123"]


def test_a_host_without_engine_and_client_has_nothing_to_stop(tmp_path: Path) -> None:
    """pgrep finds nothing: it is not there."""
    assert stop(tmp_path, ours=False, programs=("systemctl",))[0].returncode == 0


def test_a_container_that_cannot_be_stopped_for_lack_of_the_client_is_no_stopped_one(tmp_path: Path) -> None:
    done, calls = stop(tmp_path, ours=False, programs=("systemctl", "pgrep"))
    assert (done.returncode, calls) == (1, [])
    assert "pi-01 runs GitLab Runner in a container, but has no client" in done.stderr
