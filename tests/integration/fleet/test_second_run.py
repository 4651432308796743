# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on a fleet that is as wanted: nothing changes, and it is cheap."""

from __future__ import annotations

import pytest
from integration.scenarios import SCENARIO
from lab.fleet import GitLab, Lab, Play
from testinfra.host import Host

FILES = (
    "/etc/gitlab-runner/config.toml",
    "/etc/gitlab-runner/.runner_system_id",
    "/etc/docker/daemon.json",
)
RUNNERS_PER_PI = 2
MANAGER = "pi-01"


def state(pis: dict[str, Host]) -> dict[str, str]:
    """What must be the same afterwards: file contents with owner, mode and time of change, and running containers."""
    command = f"sha256sum {' '.join(FILES)} && stat -c '%n %U:%G %a %Y' {' '.join(FILES)} && docker ps -q --no-trunc"
    return {name: pi.check_output(command) for name, pi in pis.items()}


@pytest.fixture(scope="module")
def before(pis: dict[str, Host]) -> dict[str, str]:
    return state(pis)


@pytest.fixture(scope="module")
def again(lab: Lab, gitlab: GitLab, before: dict[str, str]) -> Play:
    gitlab.call("DELETE", "/journal")
    play = lab.play()
    assert play.code == 0, play.output
    return play


def test_nothing_changes(again: Play, before: dict[str, str], pis: dict[str, Host]) -> None:
    assert {host: numbers["changed"] for host, numbers in again.recap.items()} == dict.fromkeys(pis, 0)
    assert state(pis) == before


def most_executions(name: str) -> int:
    """The state of the host, and registration with config.toml; the manager speaks for the whole swarm besides."""
    return 2 if SCENARIO == "default" or name != MANAGER else 4


def test_few_module_executions_per_pi(again: Play, lab: Lab) -> None:
    for name, address in lab.addresses.items():
        modules = [
            f"{entry['module']} ({entry['task']})"
            for entry in again.executions
            if entry["host"] in (address, name) and entry["transport"] != "local"
        ]
        assert 1 < len(modules) <= most_executions(name), f"{name}: {modules}"


def most_tasks(name: str) -> int:
    if SCENARIO == "default":
        return 8
    return 30 if name == MANAGER else 15


def test_few_tasks(again: Play, pis: dict[str, Host]) -> None:
    """Each costs the control node a process for every Pi."""
    for name in pis:
        assert again.recap[name]["ok"] + again.recap[name]["skipped"] <= most_tasks(name)


def test_one_get_and_one_verify_per_runner(again: Play, gitlab: GitLab, pis: dict[str, Host]) -> None:
    runners = len(pis) * RUNNERS_PER_PI
    expected = {"GET /api/v4/runners/:id": runners, "POST /api/v4/runners/verify": runners}
    assert gitlab.requests_of_ansible() == expected
    assert gitlab.writes() == []


def test_check_mode_sees_nothing_to_do_either(lab: Lab, again: Play, pis: dict[str, Host]) -> None:
    play = lab.play("--check", "--diff")
    assert play.code == 0, play.output
    assert {host: numbers["changed"] for host, numbers in play.recap.items()} == dict.fromkeys(pis, 0)
