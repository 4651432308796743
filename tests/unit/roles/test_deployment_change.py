# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order a deployment replaces another, and what is left when that fails: never two processes, never none.

The role's own package.yml and container.yml are run, with the files in PARTS. What else they include, and their
modules, write into a log instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from drawing import takes
from plays.cores import on_every_core
from plays.play import ROOT, Play
from plays.table import run_each
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

pytestmark = [pytest.mark.slow, takes(33, "deployment_change")]

TASKS = ROOT / "roles" / "gitlab_runner" / "tasks"
BARE: dict[str, Any] = {}
AS_CONTAINER: dict[str, Any] = {"containers": {"gitlab-runner": CONTAINER}}
AS_PACKAGE: dict[str, Any] = {
    "packages": dict.fromkeys(PACKAGES, "19.3.0-1"), "held_packages": PACKAGES, "units": {UNIT: RUNS},
    DROP_IN: a_file("of a release before"), SOURCES: a_file(""),
}  # fmt: skip
DIED_BEFORE_THE_START = {**AS_PACKAGE, "units": {UNIT: ABSENT}, INHIBIT: a_file("")}
OTHER_VERSION = {**AS_PACKAGE, "packages": dict.fromkeys(PACKAGES, "19.2.0-1")}
PARTS = ("package_change.yml", "package_upgrade.yml", "package_roll_back.yml", "roll_back.yml")
STARTS = "ansible.builtin.systemd_service started"
WAITS = "pifleet.ci.gitlab_runner_wait"
RUNS_CONTAINER = "community.docker.docker_container"


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


@dataclass(frozen=True)
class Change:
    """A deployment on a host of which this was gathered. What is stopped is the unit, if there is one."""

    gathered: dict[str, Any]
    part: str = "package"
    breaks: Collection[str] = ()
    """Entries of the log that fail."""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What was done, in order, and what was said."""

    steps: list[str]
    said: str


def log_in_place_of(task: dict[str, Any], breaks: Collection[str]) -> dict[str, Any]:
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
    if entry not in breaks:
        return {**kept, "ansible.builtin.raw": f"echo {entry} >> {{{{ pifleet_test_folder }}}}/log"}
    goes_on = {"failed_when": False} if task.get("failed_when") is False else {}
    logged = f"lookup('ansible.builtin.pipe', 'echo {entry} >> ' ~ pifleet_test_folder ~ '/log')"
    return {**kept, **goes_on, "ansible.builtin.fail": {"msg": f"{{{{ {logged} }}}}{entry} failed"}}


def prepared(change: Change, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The tasks and the variables of the change, with the role's files in the folder, which gets the log."""
    folder.mkdir()
    for name in (f"{change.part}.yml", *PARTS):
        logged = [log_in_place_of(task, change.breaks) for task in yaml.safe_load((TASKS / name).read_text())]
        (folder / name).write_text(json.dumps(logged))
    role = {"name": "pifleet.ci.gitlab_runner", "tasks_from": "preflight", "public": True}
    tasks = [
        {"ansible.builtin.set_fact": {"pifleet_host": host(**change.gathered)}},
        {"ansible.builtin.include_role": role},
        {"ansible.builtin.include_tasks": str(folder / f"{change.part}.yml")},
    ]
    stopped = {"_gitlab_runner_stopped": {"stdout": UNIT, "changed": True}} if "units" in change.gathered else {}
    deployment = {"gitlab_runner_deployment": "container" if change.part in ("container", "upgrade") else "package"}
    return tasks, {**SETTINGS, **deployment, **change.options, **stopped, "pifleet_test_folder": str(folder)}


def all_done(play: Play, changes: Mapping[str, Change]) -> dict[str, Done]:
    """What each of the changes did. Those fail in which something breaks, and no others."""
    folders = {name: play.directory / f"change{number}" for number, name in enumerate(changes)}
    outcomes = run_each(play, {name: prepared(change, folders[name]) for name, change in changes.items()})
    wrong = {name: done.output for name, done in outcomes.items() if done.failed is not bool(changes[name].breaks)}
    assert wrong == {}
    return {name: Done((folders[name] / "log").read_text().splitlines(), outcomes[name].output) for name in changes}


FETCHED = ["remove_service.yml", "package_unit.yml", "package_fetch.yml"]
PROVED = ["wait.yml", "ansible.builtin.file absent", STARTS]
PULLED = {"images": {"gitlab/gitlab-runner:alpine-v19.3.0": "sha256:1"}}
MANAGER = {
    "engine": {"version": "26.1.5", "swarm": {"LocalNodeState": "active", "ControlAvailable": True, "Error": ""}},
    "services": ["gitlab-runner"],
}
ORDER: dict[str, tuple[Change, list[str]]] = {
    "a bare Pi": (Change(BARE), [*FETCHED, "package_install.yml", STARTS]),
    "from the container": (
        Change(AS_CONTAINER),
        [*FETCHED, "package_install.yml", "remove_container.yml", "ansible.builtin.file absent", STARTS],
    ),
    "another version": (
        Change(OTHER_VERSION),
        [*FETCHED, "keep_packages.sh", "stop_process.yml", "package_install.yml", STARTS, *PROVED],
    ),
    "a version that has not proved itself, after a play that died": (
        Change({**AS_PACKAGE, KEPT: a_file("19.2.0-1")}), [*FETCHED, STARTS, *PROVED]
    ),
    "a third version, while the one before the last is kept": (
        Change({**OTHER_VERSION, KEPT: a_file("19.1.0-1")}),
        [*FETCHED, "stop_process.yml", "package_install.yml", STARTS, *PROVED],
    ),
    "a play that died before the start": (
        Change(DIED_BEFORE_THE_START), [*FETCHED, "ansible.builtin.file absent", STARTS]
    ),
    "a restart without an installation": (
        Change(AS_PACKAGE, options={"_gitlab_runner_configured": {"takes_effect": "after_restart"}}),
        [*FETCHED, "stop_process.yml", STARTS],
    ),
    "the package goes after the container runs": (
        Change({**AS_PACKAGE, **PULLED}, part="container"),
        ["remove_service.yml", "stop_process.yml", "ansible.builtin.systemd_service", RUNS_CONTAINER,
         "remove_package.yml"],
    ),
    "the task of a service that is removed is waited for": (
        Change(MANAGER, part="remove_service", options={"gitlab_runner_swarm_managers": ["pi-01"]}),
        ["community.docker.docker_swarm_service absent", "ansible.builtin.shell"],
    ),
}  # fmt: skip
FAILURES: dict[str, tuple[Change, list[str]]] = {
    "a failed installation leaves the container": (
        Change(AS_CONTAINER, breaks=["package_install.yml"]), ["package_install.yml"]
    ),
    "without the packages nothing is stopped": (
        Change(OTHER_VERSION, breaks=["package_fetch.yml"]), ["package_fetch.yml"]
    ),
    "without a way back nothing is stopped": (
        Change(OTHER_VERSION, breaks=["keep_packages.sh"]), ["keep_packages.sh"]
    ),
    "the unit goes on where the container does not start": (
        Change({**AS_PACKAGE, **PULLED}, part="container", breaks=[RUNS_CONTAINER]), [RUNS_CONTAINER, "resume.yml"]
    ),
    "the packages of the version before are kept where they cannot be installed": (
        Change(OTHER_VERSION, breaks=["wait.yml", "ansible.builtin.shell"]),
        ["pifleet.ci.runner_config_file absent", WAITS],
    ),
}  # fmt: skip


def test_never_two_processes(play: Play) -> None:
    done = all_done(play, {name: change for name, (change, _steps) in ORDER.items()})
    assert {name: done[name].steps for name in ORDER} == {name: steps for name, (_change, steps) in ORDER.items()}


def test_never_none(play: Play) -> None:
    done = all_done(play, {name: change for name, (change, _steps) in FAILURES.items()})
    last = {name: done[name].steps[-len(steps) :] for name, (_change, steps) in FAILURES.items()}
    assert last == {name: steps for name, (_change, steps) in FAILURES.items()}
    steps = done["the packages of the version before are kept where they cannot be installed"].steps
    assert STARTS in steps[steps.index("ansible.builtin.shell") :]


def test_the_version_before_is_installed_again_after_a_failure(play: Play) -> None:
    ready_made = [{**DOCKER, "token": "glrt-0123456789abcdefghij"}]
    broken = ("package_install.yml", STARTS, "wait.yml")
    changes = {entry: Change(OTHER_VERSION, breaks=[entry]) for entry in broken}
    changes["no API token"] = Change(
        OTHER_VERSION, breaks=["keeps_running.yml"], options={"gitlab_runner_runners": ready_made}
    )
    changes["offline"] = Change(OTHER_VERSION, breaks=["wait.yml", WAITS])
    changes["not started"] = Change(OTHER_VERSION, breaks=[STARTS, WAITS])
    done = all_done(play, changes)
    for entry in broken:
        steps = done[entry].steps
        assert steps[steps.index(entry) + 1 :][:3] == ["stop_process.yml", "ansible.builtin.shell", STARTS]
        if entry != STARTS:
            assert steps[-2:] == [WAITS, "ansible.builtin.file absent"]
    assert done["no API token"].steps.count("keeps_running.yml") == 2, "of the new version, and of the one before"
    reasons = {"no API token": "keeps_running.yml", "offline": WAITS, "not started": STARTS}
    for name, entry in reasons.items():
        said = f"rolled back to 19.2.0-1 of its package, with which it is not online either ({entry} failed)"
        assert said in done[name].said
    assert "which runs again" in done[STARTS].said


def test_the_image_before_runs_again_after_a_failure(play: Play) -> None:
    images = {"name": "runner:1", "running": "sha256:1", "running_name": "runner:1", "previous": "", "present": "",
              "wanted": "sha256:2", "wanted_name": "runner:2"}  # fmt: skip
    options = {"_gitlab_runner_images_found": images, "_gitlab_runner_registered": {"runners": [], "system_id": "r_1"}}
    gathers = "ansible.builtin.import_tasks"
    changes = {
        name: Change(AS_CONTAINER, part="upgrade", breaks=breaks, options=options)
        for name, breaks in {"runs again": [gathers], "offline": [gathers, WAITS]}.items()
    }
    done = all_done(play, changes)
    for each in done.values():
        steps = each.steps[each.steps.index(gathers) + 1 :]
        assert [step for step in steps if step.endswith(".yml")] == ["stop_process.yml", "container.yml"]
        assert steps.index("container.yml") < steps.index(WAITS)
    because = f"because of its failure with runner:2: {gathers} failed"
    assert f"rolled back to runner:1, which runs again, {because}" in done["runs again"].said
    assert (
        f"rolled back to runner:1, with which it is not online either ({WAITS} failed), {because}"
        in done["offline"].said
    )
