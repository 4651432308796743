# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles refuse on a host, from what has been gathered of it; no module is executed for that."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core
from plays.play import Play

pytestmark = pytest.mark.slow

INACTIVE = {"LocalNodeState": "inactive", "NodeID": "", "ControlAvailable": False, "Error": ""}
DAEMON_JSON = "/etc/docker/daemon.json"
DEBIAN_12 = {"id": "debian", "version": "12", "codename": "bookworm", "name": "Debian GNU/Linux 12 (bookworm)"}
HOST: dict[str, Any] = {
    "architecture": "arm64",
    "machine": "aarch64",
    "distribution": DEBIAN_12,
    "packages": {"docker.io": "26.1.5"},
    "held_packages": [],
    "units": {
        "docker.service": {"enabled": "enabled", "active": "active"},
        "snap.docker.dockerd.service": {"enabled": "", "active": "inactive"},
    },
    "groups": {"docker": []},
    "users": ["pi"],
    "time": time.time(),
    "files": dict.fromkeys(
        (
            "/etc/docker/daemon.json",
            "/etc/docker/daemon.json.running",
            "/etc/apt/sources.list.d/docker.sources",
            "/etc/apt/apt.conf.d/52pifleet-ci",
        )
    ),
    "engine": {"version": "26.1.5", "swarm": INACTIVE},
    "engine_error": "",
}
SWARM = {"swarm_managers": ["pi-01"], "swarm_workers": []}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def apply(play: Play, role: str, part: str, hosts: dict[str, dict[str, Any]], **variables: Any) -> str:
    """Run a part of a role on hosts of which this has been gathered, and return all that is said on one line."""
    gathered = {
        "ansible.builtin.set_fact": {"pifleet_host": "{{ gathered[inventory_hostname] }}"},
        "when": "gathered[inventory_hostname] | length > 0",
    }
    include = {"ansible.builtin.include_role": {"name": f"pifleet.ci.{role}", "tasks_from": part}}
    plays = [{"hosts": "all", "tasks": [gathered, include], "vars": {"gathered": hosts, **variables}}]
    done = play.run_plays(plays, hosts=hosts)
    assert play.module_executions == 0
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("role", "part", "host", "variables", "sentences"),
    [
        pytest.param(
            "docker", "preflight",
            {"packages": {"docker-ce": "29"}, "machine": "armv6l"}, {},
            ["pi-01 is an ARMv6 board", "pi-01 has the package docker-ce, which would be removed"],
            id="two reasons at once",
        ),
        pytest.param(
            "docker", "preflight", {"distribution": {**DEBIAN_12, "id": "fedora", "name": "Fedora 44"}}, {},
            ["pi-01 runs Fedora 44, which is not supported"],
            id="another distribution",
        ),
        pytest.param(
            "docker", "preflight",
            {"distribution": {"id": "raspbian", "version": "11", "codename": "bullseye", "name": "Raspbian 11"}}, {},
            ["pi-01 runs Raspbian 11, which is not supported"],
            id="an old release",
        ),
        pytest.param(
            "docker", "preflight", {}, {"docker_users": ["pi", "pj"]},
            ["pi-01 has no user pj: correct docker_users, or create the user first."],
            id="a user that does not exist",
        ),
        pytest.param(
            "docker", "preflight", {"files": {**HOST["files"], DAEMON_JSON: {"content": "{,}", "mode": "0644"}}}, {},
            ["pi-01: /etc/docker/daemon.json cannot be merged with the options of the role, because Expecting"],
            id="a broken daemon.json",
        ),
        pytest.param(
            "docker", "preflight",
            {"units": {**HOST["units"], "snap.docker.dockerd.service": {"enabled": "enabled", "active": "active"}}}, {},
            ["pi-01 has Docker as a snap"],
            id="a snap",
        ),
        pytest.param(
            "docker", "preflight", {"engine": {"version": "26.1.5", "swarm": {**INACTIVE, "LocalNodeState": "active"}}},
            {"docker_daemon_options": {"live-restore": True}},
            ["pi-01 is a node of a swarm, with which live-restore cannot be used"],
            id="live-restore on a node of a swarm",
        ),
        pytest.param(
            "docker", "preflight", {"engine": {"version": "26.1.5", "swarm": {**INACTIVE, "LocalNodeState": "active"}}},
            {"docker_daemon_options": {"data-root": "/mnt/ssd/docker"}},
            ["pi-01 is a node of a swarm, and with another data-root it would be none any more"],
            id="another data-root on a node of a swarm",
        ),
        pytest.param(
            "docker", "preflight", {}, {"pifleet_rollout": [1, "half"]},
            ["pifleet_rollout must be a number of hosts, a percentage such as 10%, or a list of these."],
            id="batches of no size",
        ),
        pytest.param(
            "swarm", "preflight", {}, {**SWARM, "swarm_node_labels": {"rack": 1}},
            ["swarm_node_labels takes strings only, so write the value with quotes: rack"],
            id="a label that is no string",
        ),
        pytest.param(
            "swarm", "preflight", {}, {"swarm_managers": ["pi-01"], "swarm_workers": ["pi-01"]},
            ["pi-01 cannot be in both swarm_managers and swarm_workers"],
            id="manager and worker",
        ),
        pytest.param(
            "swarm", "apply", {"engine": None, "engine_error": "Docker Engine does not answer at /x."}, SWARM,
            ["pi-01 cannot be a node of a swarm: Docker Engine does not answer at /x."],
            id="no engine",
        ),
    ],
)  # fmt: skip
def test_the_host_and_the_reason_are_named(
    play: Play, role: str, part: str, host: dict[str, Any], variables: dict[str, Any], sentences: list[str]
) -> None:
    output = apply(play, role, part, {"pi-01": {**HOST, **host}}, **variables)
    assert "failed=1" in output
    for sentence in sentences:
        assert sentence in output


def test_what_is_right_passes(play: Play) -> None:
    assert "failed=0" in apply(play, "docker", "preflight", {"pi-01": HOST})
    assert "failed=0" in apply(play, "swarm", "preflight", {"pi-01": HOST}, **SWARM)


def test_no_host_decides_on_a_swarm_before_its_managers_are_gathered(play: Play) -> None:
    """As with the strategy free, where a worker may be here before the manager is."""
    output = apply(
        play, "swarm", "apply", {"pi-02": HOST, "pi-01": {}}, swarm_managers=["pi-01"], swarm_workers=["pi-02"]
    )
    assert "pi-02 cannot know yet whether pi-01 manages a swarm" in output
    assert "the role swarm needs the strategy linear" in output
