# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role disk_space decides and refuses, and what the role gitlab_runner says of a host that it has drained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import disk_space
import disk_space_runner
import pytest
import yaml
from plays.cores import on_every_core, on_one_core
from plays.play import ROOT, Play
from plays.table import assert_refused, run_each, show

pytestmark = pytest.mark.slow

STATE = "/var/lib/pifleet-disk-space/state.json"
TIMER = "pifleet-disk-space.timer"
RUNS = {"enabled": "enabled", "active": "active"}
MISSING = {"enabled": "", "active": "inactive"}
MESSAGE = "0.4 GB of 16.0 GB are free on /var/lib/docker: GitLab Runner takes no new jobs until 15% are free."
PRESENT = {"disk_space_state": "present"}
GATHERED = {"pifleet_host": {"files": {STATE: None}}}


def state(drained: bool) -> dict[str, str]:
    message = MESSAGE if drained else ""
    return {"content": json.dumps({"drained": drained, "message": message, "memory": {}}) + "  \n", "mode": "0644"}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def role(part: str) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": "pifleet.ci.disk_space", "tasks_from": part, "public": True}}


NOTHING = "[none] * 8"
ALL = "_disk_space_wanted"
ALL_BUT_ONE = "_disk_space_wanted[1:] + ['another']"


DAMAGED = {"content": '{"drained": true, "message": "0.4 GB of', "mode": "0644"}

DECISIONS: dict[str, tuple[str, dict[str, Any], Any, dict[str, Any], list[str]]] = {
    "off, and nothing there": (NOTHING, MISSING, None, {}, []),
    "asked for": (NOTHING, MISSING, None, PRESENT, ["install.yml"]),
    "as wanted": (ALL, RUNS, state(False), PRESENT, []),
    "the timer does not run": (ALL, {**RUNS, "active": "failed"}, None, PRESENT, ["install.yml"]),
    "systemd has not read the timer": (ALL, {**RUNS, "outdated": True}, None, PRESENT, ["install.yml"]),
    "another version": (ALL_BUT_ONE, RUNS, None, PRESENT, ["install.yml"]),
    "drained: checked again": (ALL, RUNS, state(True), PRESENT, ["check.yml"]),
    "not asked for any more": (ALL, RUNS, state(True), {}, ["uninstall.yml"]),
    "a rest of it": (NOTHING, MISSING, state(False), {}, ["uninstall.yml"]),
}  # fmt: skip


def test_what_differs_is_done(play: Play) -> None:
    """`installed` is a template of the checksums in the order of the paths."""
    path = {"role_path": str(ROOT / "roles/disk_space")}
    cases: dict[str, Any] = {}
    for name, (installed, timer, found, variables, _expected) in DECISIONS.items():
        gathered = {
            "checksums": f"{{{{ dict(_disk_space_paths | zip({installed})) }}}}",
            "units": {TIMER: {key: value for key, value in timer.items() if key != "outdated"}},
            "outdated_units": [TIMER] if "outdated" in timer else [],
            "files": {STATE: found},
        }
        facts = {"ansible.builtin.set_fact": {"pifleet_host": gathered}, "vars": path}
        cases[name] = [role("preflight"), facts, show("_disk_space_steps", vars=path)], {**GATHERED, **variables}
    found = {name: outcome.value for name, outcome in run_each(play, cases).items()}
    assert found == {name: expected for name, (*_case, expected) in DECISIONS.items()}
    assert play.module_executions == 0


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown state": (
        {"disk_space_state": "off"}, "value of disk_space_state must be one of: absent, present, got: off"
    ),
    "no unit": (
        {**PRESENT, "disk_space_cleanup_below": "15"},
        "disk_space_cleanup_below (15) and disk_space_minimum_free (5%) must be a percentage such as 15% or a size"
    ),
    "less than itself": (
        {**PRESENT, "disk_space_minimum_free": "15%"},
        "disk_space_minimum_free (15%) must be less than disk_space_cleanup_below (15%)"
    ),
    "less in another unit": (
        {**PRESENT, "disk_space_minimum_free": "1GB", "disk_space_cleanup_below": "900 MB"},
        "disk_space_minimum_free (1GB) must be less than disk_space_cleanup_below (900 MB)"
    ),
    "a string in place of a list": (
        {**PRESENT, "disk_space_keep": "ccache"}, "disk_space_keep must be a list also where it has one element"
    ),
    "no interval": ({**PRESENT, "disk_space_interval": 0}, "disk_space_unused_days must be at least 0"),
    "days": ({**PRESENT, "disk_space_unused_days": -1}, "disk_space_unused_days must be at least 0"),
    "Kubernetes": (
        {**PRESENT, "gitlab_runner_deployment": "kubernetes"},
        "pi-01 has gitlab_runner_deployment kubernetes, which disk_space cannot drain"
    ),
}  # fmt: skip


def test_bad_settings_are_one_sentence(play: Play) -> None:
    cases = {name: ([role("preflight")], {**GATHERED, **variables}) for name, (variables, _sentence) in REFUSED.items()}
    assert_refused(play, cases, {name: [sentence] for name, (_variables, sentence) in REFUSED.items()})


def test_a_damaged_state_is_one_sentence(play: Play) -> None:
    sentence = f"pi-01: {STATE} is damaged, so whether GitLab Runner is drained is not known: remove it there"
    contents = ["", DAMAGED["content"], "\0" * 100, "{}"]
    cases: dict[str, Any] = {
        f"{content!r} {variables}": (
            [role("preflight")], {"pifleet_host": {"files": {STATE: {**DAMAGED, "content": content}}}, **variables}
        )
        for content in contents for variables in (PRESENT, {})
    }  # fmt: skip
    assert_refused(play, cases, {name: [sentence] for name in cases})


def test_good_settings_pass(play: Play) -> None:
    sizes = {"disk_space_minimum_free": "500MB", "disk_space_cleanup_below": "2.5GB"}
    settings = {"none": {}, "sizes": {**PRESENT, **sizes}, "both": {**PRESENT, "disk_space_minimum_free": "1GB"}}
    outcomes = run_each(
        play, {name: ([role("preflight")], {**GATHERED, **variables}) for name, variables in settings.items()}
    )
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}


@on_one_core
def test_images_that_are_in_no_registry_are_kept(play: Play) -> None:
    built = {"job_images_builds": [{"name": "registry.example.com/tools:1", "context": "files/tools"}]}
    settings: dict[str, dict[str, Any]] = {
        "none": {},
        "built": built,
        "in a registry": {**built, "job_images_registry": "registry.example.com:5000"},
    }
    task = show("_disk_space_settings.keep", vars={"role_path": str(ROOT / "roles/disk_space")})
    given = {**GATHERED, **PRESENT, "disk_space_keep": ["ccache"]}
    cases = {name: ([role("preflight"), task], {**given, **more}) for name, more in settings.items()}
    assert {name: outcome.value for name, outcome in run_each(play, cases).items()} == {
        "none": ["ccache"],
        "built": ["ccache", "registry.example.com/tools:1"],
        "in a registry": ["ccache"],
    }


def test_gitlab_runner_says_why_the_host_takes_no_jobs(play: Play) -> None:
    host = {"files": {STATE: state(True)}, "architecture": "arm64", "engine": {}, "containers": {"gitlab-runner": None}}
    damaged = {**host, "files": {STATE: DAMAGED}}
    cases: dict[str, Any] = {}
    for part in ("outdated", "no_space"):
        include = {"ansible.builtin.include_role": {"name": "pifleet.ci.gitlab_runner", "tasks_from": part}}
        cases[part] = [include], {"pifleet_host": host}
        cases[f"{part}, damaged"] = [include], {"pifleet_host": damaged}
    sentence = f"pi-01 takes no jobs for lack of disk space. {MESSAGE} Remove what fills its disk"
    unknown = f"pi-01 has a damaged {STATE}, so whether GitLab Runner is drained for lack of disk space is not known"
    assert_refused(play, cases, {part: [unknown if "damaged" in part else sentence] for part in cases})


def test_gitlab_runner_is_not_run_on_a_drained_host(play: Play) -> None:
    tasks = [
        {"ansible.builtin.include_vars": {"dir": str(ROOT / "roles" / "gitlab_runner" / "vars" / "main")}},
        show("_gitlab_runner_steps | map('first')"),
    ]
    files: dict[str, Any] = {
        "drained": {STATE: state(True)},
        "not drained": {STATE: state(False)},
        "without the role": {STATE: None},
        "not gathered": {},
        "damaged": {STATE: DAMAGED},
    }
    cases = {name: (tasks, {"pifleet_host": {"files": found}}) for name, found in files.items()}
    outcomes = run_each(play, cases, "-e", json.dumps({"_gitlab_runner_run_differs": False}))
    assert {name: outcome.value for name, outcome in outcomes.items()} == {
        "drained": ["no_space.yml"],
        "not drained": [],
        "without the role": [],
        "not gathered": [],
        "damaged": ["no_space.yml"],
    }


def test_both_roles_name_the_same_file_and_label() -> None:
    ours = yaml.safe_load((ROOT / "roles/disk_space/vars/main.yml").read_text())
    theirs = yaml.safe_load((ROOT / "roles/gitlab_runner/vars/main/disk_space.yml").read_text())
    assert theirs["_gitlab_runner_disk_space_state"] == ours["_disk_space_state_directory"] + "/state.json" == STATE
    assert theirs["_gitlab_runner_disk_space_pattern"] == ours["_disk_space_state_pattern"]
    for written in (disk_space.State("/x"), disk_space.State("/x", True, 'a "b" {c}', {"unit": "d"})):
        assert re.match(ours["_disk_space_state_pattern"], written.record().decode())
    key, value = disk_space_runner.LABEL.split("=")
    service = (ROOT / "roles/gitlab_runner/tasks/service.yml").read_text()
    assert f"- engine.labels.{key} != {value}" in service
