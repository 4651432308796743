# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order a deployment replaces another, and what is left when that fails: never two processes, never none.

The role's own package.yml and container.yml are run, with the files in PARTS. What else they include, and their
modules, write into a log instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays.cores import on_every_core
from plays.play import ROOT, Play
from test_package import (
    ABSENT,
    CONTAINER,
    DOCKER,
    DROP_IN,
    INHIBIT,
    KEPT,
    PACKAGES,
    RUNS,
    SETTINGS,
    SOURCES,
    UNIT,
    a_file,
    host,
)

pytestmark = pytest.mark.slow

TASKS = ROOT / "roles" / "gitlab_runner" / "tasks"
BARE: dict[str, Any] = {}
AS_CONTAINER: dict[str, Any] = {"containers": {"gitlab-runner": CONTAINER}}
AS_PACKAGE: dict[str, Any] = {
    "packages": dict.fromkeys(PACKAGES, "19.3.0-1"), "held_packages": PACKAGES, "units": {UNIT: RUNS},
    DROP_IN: a_file("of a release before"), SOURCES: a_file(""),
}  # fmt: skip
DIED_BEFORE_THE_START = {**AS_PACKAGE, "units": {UNIT: ABSENT}, INHIBIT: a_file("")}
OTHER_VERSION = {**AS_PACKAGE, "packages": dict.fromkeys(PACKAGES, "19.2.0-1")}
PARTS = ("package_change.yml", "package_upgrade.yml", "package_roll_back.yml")
STARTS = "ansible.builtin.systemd_service started"
RUNS_CONTAINER = "community.docker.docker_container"


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def log_in_place_of(task: dict[str, Any], breaks: Sequence[str]) -> dict[str, Any]:
    """The task with an entry in the log in place of its module; fails if that entry is one of `breaks`."""
    if "block" in task:
        blocks = {key: [log_in_place_of(inner, breaks) for inner in task[key]] for key in ("block", "rescue")}
        return {**task, **blocks}
    module = next(key for key in task if "." in key)
    if module in ("ansible.builtin.fail", "ansible.builtin.set_fact"):
        return task
    options = task[module]
    if options in PARTS:
        return task
    if module == "ansible.builtin.include_tasks":
        entry = options
    elif script := re.search(r"\w+\.sh", str(options)):
        entry = script[0]
    else:
        entry = f"{module} {options.get('state', '')}".strip() if isinstance(options, dict) else module
    kept = {key: value for key, value in task.items() if key in ("name", "when", "register")}
    return {**kept, "ansible.builtin.raw": f"echo {entry} >> log", "failed_when": entry in breaks}


def steps(
    play: Play, part: str, gathered: dict[str, Any], breaks: str | Sequence[str] = (), **options: Any
) -> list[str]:
    """What was done, in order. What is stopped is the unit, if there is one."""
    breaks = [breaks] if isinstance(breaks, str) else breaks
    for name in (f"{part}.yml", *PARTS):
        logged = [log_in_place_of(task, breaks) for task in yaml.safe_load((TASKS / name).read_text())]
        (play.directory / name).write_text(json.dumps(logged))
    role = {"name": "pifleet.ci.gitlab_runner", "tasks_from": "preflight", "public": True}
    deployment = part if part == "container" else "package"
    variables = {**SETTINGS, "gitlab_runner_deployment": deployment, **options}
    stopped = {"_gitlab_runner_stopped": {"stdout": UNIT, "changed": True}} if "units" in gathered else {}
    tasks = [
        {"ansible.builtin.set_fact": {"pifleet_host": host(**gathered)}},
        {"ansible.builtin.include_role": role},
        {"ansible.builtin.include_tasks": f"{part}.yml"},
    ]
    done = play.run_plays([{"hosts": "all", "vars": {**variables, **stopped}, "tasks": tasks}])
    (play.directory / "output").write_text(" ".join(done.stdout.split()))
    assert f"failed={int(bool(breaks))}" in done.stdout, done.stdout + done.stderr
    return (play.directory / "log").read_text().splitlines()


@pytest.mark.parametrize(
    ("gathered", "expected"),
    [
        pytest.param(BARE, ["package_unit.yml", "package_fetch.yml", "package_install.yml", STARTS], id="a bare Pi"),
        pytest.param(
            AS_CONTAINER,
            ["package_unit.yml", "package_fetch.yml", "package_install.yml", "remove_container.yml",
             "ansible.builtin.file absent", STARTS],
            id="from the container",
        ),
        pytest.param(
            OTHER_VERSION,
            ["package_unit.yml", "package_fetch.yml", "keep_packages.sh", "stop_process.yml", "package_install.yml",
             STARTS, "wait.yml", "ansible.builtin.file absent", STARTS],
            id="another version",
        ),
        pytest.param(
            {**AS_PACKAGE, KEPT: a_file("19.2.0-1")},
            ["package_unit.yml", "package_fetch.yml", STARTS, "wait.yml", "ansible.builtin.file absent", STARTS],
            id="a version that has not proved itself, after a play that died",
        ),
        pytest.param(
            {**OTHER_VERSION, KEPT: a_file("19.1.0-1")},
            ["package_unit.yml", "package_fetch.yml", "stop_process.yml", "package_install.yml", STARTS, "wait.yml",
             "ansible.builtin.file absent", STARTS],
            id="a third version, while the one before the last is kept",
        ),
        pytest.param(
            DIED_BEFORE_THE_START,
            ["package_unit.yml", "package_fetch.yml", "ansible.builtin.file absent", STARTS],
            id="a play that died before the start",
        ),
    ],
)  # fmt: skip
def test_the_package_starts_after_what_ran_before(play: Play, gathered: dict[str, Any], expected: list[str]) -> None:
    assert steps(play, "package", gathered) == ["remove_service.yml", *expected]


def test_a_restart_without_an_installation(play: Play) -> None:
    done = steps(play, "package", AS_PACKAGE, _gitlab_runner_configured={"takes_effect": "after_restart"})
    assert done[-2:] == ["stop_process.yml", STARTS]


def test_a_failed_installation_leaves_the_container(play: Play) -> None:
    assert steps(play, "package", AS_CONTAINER, "package_install.yml")[-1] == "package_install.yml"


@pytest.mark.parametrize("breaks", ["package_fetch.yml", "keep_packages.sh"])
def test_without_the_packages_and_a_way_back_nothing_is_stopped(play: Play, breaks: str) -> None:
    assert steps(play, "package", OTHER_VERSION, breaks)[-1] == breaks


@pytest.mark.parametrize("breaks", ["package_install.yml", STARTS, "wait.yml"])
def test_the_version_before_is_installed_again_after_a_failure(play: Play, breaks: str) -> None:
    done = steps(play, "package", OTHER_VERSION, breaks)
    assert done[done.index(breaks) + 1 :][:3] == ["stop_process.yml", "ansible.builtin.shell", STARTS]
    if breaks != STARTS:
        assert done[-2:] == ["pifleet.ci.gitlab_runner_wait", "ansible.builtin.file absent"]


def test_without_an_api_token_the_version_before_has_to_keep_running(play: Play) -> None:
    ready_made = [{**DOCKER, "token": "glrt-0123456789abcdefghij"}]
    done = steps(play, "package", OTHER_VERSION, "keeps_running.yml", gitlab_runner_runners=ready_made)
    assert done.count("keeps_running.yml") == 2, "of the new version, and of the one before"
    said = (play.directory / "output").read_text()
    assert "rolled back to 19.2.0-1 of its package, with which it is not online either" in said


def test_the_runner_starts_also_where_the_version_before_cannot_be_installed(play: Play) -> None:
    done = steps(play, "package", OTHER_VERSION, ["wait.yml", "ansible.builtin.shell"])
    assert done[-2:] == ["pifleet.ci.runner_config_file absent", "pifleet.ci.gitlab_runner_wait"], "they are still kept"
    assert STARTS in done[done.index("ansible.builtin.shell") :]


def test_the_package_goes_after_the_container_runs(play: Play) -> None:
    pulled = {"images": {"gitlab/gitlab-runner:alpine-v19.3.0": "sha256:1"}}
    disabled = "ansible.builtin.systemd_service"
    assert steps(play, "container", {**AS_PACKAGE, **pulled}) == [
        "remove_service.yml", "stop_process.yml", disabled, RUNS_CONTAINER, "remove_package.yml",
    ]  # fmt: skip
    (play.directory / "log").unlink()
    assert steps(play, "container", {**AS_PACKAGE, **pulled}, RUNS_CONTAINER)[-2:] == [RUNS_CONTAINER, "resume.yml"]


def test_the_task_of_a_service_that_is_removed_is_waited_for(play: Play) -> None:
    swarm = {"LocalNodeState": "active", "ControlAvailable": True, "Error": ""}
    manager = {"engine": {"version": "26.1.5", "swarm": swarm}, "services": ["gitlab-runner"]}
    assert steps(play, "remove_service", manager, gitlab_runner_swarm_managers=["pi-01"]) == [
        "community.docker.docker_swarm_service absent", "ansible.builtin.shell",
    ]  # fmt: skip
