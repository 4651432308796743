# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role disk_space decides and refuses, and what the role gitlab_runner says of a host that it has drained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import disk_space_runner
import pytest
import yaml
from plays.cores import on_every_core
from plays.play import ROOT, Play

pytestmark = pytest.mark.slow

STATE = "/var/lib/pifleet-disk-space/state.json"
TIMER = "pifleet-disk-space.timer"
RUNS = {"enabled": "enabled", "active": "active"}
MISSING = {"enabled": "", "active": "inactive"}
MESSAGE = "0.4 GB of 16.0 GB are free on /var/lib/docker: GitLab Runner takes no new jobs until 15% are free."
PRESENT = {"disk_space_state": "present"}


def state(drained: bool) -> dict[str, str]:
    message = MESSAGE if drained else ""
    return {"content": json.dumps({"drained": drained, "message": message, "memory": {}}) + "  \n", "mode": "0644"}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def role(part: str) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": "pifleet.ci.disk_space", "tasks_from": part, "public": True}}


def steps(play: Play, installed: str, timer: dict[str, str], found: Any = None, **variables: Any) -> str:
    """The task files that the role would include on a host where this was gathered.

    installed: a template of the checksums in the order of the paths.
    """
    gathered = {
        "checksums": f"{{{{ dict(_disk_space_paths | zip({installed})) }}}}",
        "units": {TIMER: timer},
        "files": {STATE: found},
    }
    tasks = [
        role("preflight"),
        {"ansible.builtin.set_fact": {"pifleet_host": gathered}, "vars": {"role_path": str(ROOT / "roles/disk_space")}},
        {
            "ansible.builtin.debug": {"msg": "STEPS=({{ _disk_space_steps | join(' ') }})"},
            "vars": {"role_path": str(ROOT / "roles/disk_space")},
        },
    ]
    done = play.run_plays([{"hosts": "all", "tasks": tasks, "vars": variables}])
    assert play.module_executions == 0
    match = re.search(r"STEPS=\((.*)\)", done.stdout)
    assert match, done.stdout + done.stderr
    return match[1]


NOTHING = "[none] * 8"
ALL = "_disk_space_wanted"
ALL_BUT_ONE = "_disk_space_wanted[1:] + ['another']"


@pytest.mark.parametrize(
    ("installed", "timer", "found", "variables", "expected"),
    [
        pytest.param(NOTHING, MISSING, None, {}, "", id="off, and nothing there"),
        pytest.param(NOTHING, MISSING, None, PRESENT, "install.yml", id="asked for"),
        pytest.param(ALL, RUNS, state(False), PRESENT, "", id="as wanted"),
        pytest.param(ALL, {**RUNS, "active": "failed"}, None, PRESENT, "install.yml", id="the timer does not run"),
        pytest.param(ALL_BUT_ONE, RUNS, None, PRESENT, "install.yml", id="another version"),
        pytest.param(ALL, RUNS, state(True), PRESENT, "check.yml", id="drained: checked again"),
        pytest.param(ALL, RUNS, state(True), {}, "uninstall.yml", id="not asked for any more"),
        pytest.param(NOTHING, MISSING, state(False), {}, "uninstall.yml", id="a rest of it"),
    ],
)
def test_what_differs_is_done(
    play: Play, installed: str, timer: dict[str, str], found: Any, variables: dict[str, Any], expected: str
) -> None:
    assert steps(play, installed, timer, found, **variables) == expected


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"disk_space_state": "off"}, "value of disk_space_state must be one of: absent, present, got: off"),
        (
            {**PRESENT, "disk_space_cleanup_below": "15"},
            "disk_space_cleanup_below (15) and disk_space_minimum_free (5%) must be a percentage such as 15% or a size",
        ),
        (
            {**PRESENT, "disk_space_minimum_free": "15%"},
            "disk_space_minimum_free (15%) must be less than disk_space_cleanup_below (15%)",
        ),
        (
            {**PRESENT, "disk_space_minimum_free": "1GB", "disk_space_cleanup_below": "900 MB"},
            "disk_space_minimum_free (1GB) must be less than disk_space_cleanup_below (900 MB)",
        ),
        ({**PRESENT, "disk_space_interval": 0}, "disk_space_unused_days must be at least 0"),
        (
            {**PRESENT, "disk_space_unused_days": -1},
            "disk_space_unused_days must be at least 0",
        ),
        (
            {**PRESENT, "gitlab_runner_deployment": "kubernetes"},
            "pi-01 has gitlab_runner_deployment kubernetes, which disk_space cannot drain",
        ),
    ],
)
def test_bad_settings_are_one_sentence(play: Play, variables: dict[str, Any], sentence: str) -> None:
    done = play.run_plays([{"hosts": "all", "tasks": [role("preflight")], "vars": variables}])
    output = " ".join((done.stdout + done.stderr).split())
    assert "failed=1" in output
    assert sentence in output
    assert play.module_executions == 0


@pytest.mark.parametrize(
    "variables",
    [{}, {**PRESENT, "disk_space_minimum_free": "500MB", "disk_space_cleanup_below": "2.5GB"},
     {**PRESENT, "disk_space_minimum_free": "1GB"}],
)  # fmt: skip
def test_good_settings_pass(play: Play, variables: dict[str, Any]) -> None:
    done = play.run_plays([{"hosts": "all", "tasks": [role("preflight")], "vars": variables}])
    assert "failed=0" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("part", ["outdated", "no_space"])
def test_gitlab_runner_says_why_the_host_takes_no_jobs(play: Play, part: str) -> None:
    host = {"files": {STATE: state(True)}, "architecture": "arm64", "engine": {}, "containers": {"gitlab-runner": None}}
    include = {"ansible.builtin.include_role": {"name": "pifleet.ci.gitlab_runner", "tasks_from": part}}
    done = play.run_plays([{"hosts": "all", "tasks": [include], "vars": {"pifleet_host": host}}])
    output = " ".join((done.stdout + done.stderr).split())
    assert f"pi-01 takes no jobs for lack of disk space. {MESSAGE} Remove what fills its disk" in output
    assert play.module_executions == 0


def gitlab_runner_steps(play: Play, files: dict[str, Any]) -> str:
    tasks = [
        {"ansible.builtin.include_vars": {"dir": str(ROOT / "roles" / "gitlab_runner" / "vars" / "main")}},
        {"ansible.builtin.debug": {"msg": "STEPS=({{ _gitlab_runner_steps | map('first') | join(' ') }})"}},
    ]
    variables = {"pifleet_host": {"files": files}}
    overridden = ["-e", json.dumps({"_gitlab_runner_run_differs": False})]
    done = play.run_plays([{"hosts": "all", "tasks": tasks, "vars": variables}], *overridden)
    match = re.search(r"STEPS=\((.*)\)", done.stdout)
    assert match, done.stdout + done.stderr
    return match[1]


@pytest.mark.parametrize(
    ("files", "expected"),
    [({STATE: state(True)}, "no_space.yml"), ({STATE: state(False)}, ""), ({STATE: None}, ""), ({}, "")],
)
def test_gitlab_runner_is_not_run_on_a_drained_host(play: Play, files: dict[str, Any], expected: str) -> None:
    assert gitlab_runner_steps(play, files) == expected


def test_both_roles_name_the_same_file_and_label() -> None:
    ours = yaml.safe_load((ROOT / "roles/disk_space/vars/main.yml").read_text())
    theirs = yaml.safe_load((ROOT / "roles/gitlab_runner/vars/main/main.yml").read_text())
    assert theirs["_gitlab_runner_disk_space_state"] == ours["_disk_space_state_directory"] + "/state.json" == STATE
    key, value = disk_space_runner.LABEL.split("=")
    service = (ROOT / "roles/gitlab_runner/tasks/service.yml").read_text()
    assert f"- engine.labels.{key} != {value}" in service
