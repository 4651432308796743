# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles refuse on a host, from what has been gathered of it; no module is executed for that."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core
from plays.play import Play
from plays.table import assert_refused, run_each

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


def role(name: str, part: str) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": f"pifleet.ci.{name}", "tasks_from": part}}


def apply(play: Play, name: str, part: str, hosts: dict[str, dict[str, Any]], **variables: Any) -> str:
    """Run a part of a role on hosts of which this has been gathered, and return all that is said on one line."""
    gathered = {
        "ansible.builtin.set_fact": {"pifleet_host": "{{ gathered[inventory_hostname] }}"},
        "when": "gathered[inventory_hostname] | length > 0",
    }
    plays = [{"hosts": "all", "tasks": [gathered, role(name, part)], "vars": {"gathered": hosts, **variables}}]
    done = play.run_plays(plays, hosts=hosts)
    assert play.module_executions == 0
    return " ".join((done.stdout + done.stderr).split())


REFUSED: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], list[str]]] = {
    "two reasons at once": (
        "docker", "preflight", {"packages": {"docker-ce": "29"}, "machine": "armv6l"}, {},
        ["pi-01 is an ARMv6 board", "pi-01 has the package docker-ce, which would be removed"]
    ),
    "another distribution": (
        "docker", "preflight", {"distribution": {**DEBIAN_12, "id": "fedora", "name": "Fedora 44"}}, {},
        ["pi-01 runs Fedora 44, which is not supported"]
    ),
    "an old release": (
        "docker", "preflight",
        {"distribution": {"id": "raspbian", "version": "11", "codename": "bullseye", "name": "Raspbian 11"}}, {},
        ["pi-01 runs Raspbian 11, which is not supported"]
    ),
    "a user that does not exist": (
        "docker", "preflight", {}, {"docker_users": ["pi", "pj"]},
        ["pi-01 has no user pj: correct docker_users, or create the user first."]
    ),
    "strings in place of lists": (
        "docker", "preflight", {}, {"docker_users": "pi", "docker_insecure_registries": "registry.local:5000"},
        ["docker_insecure_registries and docker_users must be a list also where it has one element"]
    ),
    "a string in place of the managers": (
        "swarm", "preflight", {}, {"swarm_managers": "pi-01", "swarm_workers": []},
        ["swarm_managers must be a list also where it has one element"]
    ),
    "a broken daemon.json": (
        "docker", "preflight", {"files": {**HOST["files"], DAEMON_JSON: {"content": "{,}", "mode": "0644"}}}, {},
        ["pi-01: /etc/docker/daemon.json cannot be merged with the options of the role, because Expecting"]
    ),
    "a snap": (
        "docker", "preflight",
        {"units": {**HOST["units"], "snap.docker.dockerd.service": {"enabled": "enabled", "active": "active"}}}, {},
        ["pi-01 has Docker as a snap"]
    ),
    "live-restore on a node of a swarm": (
        "docker", "preflight", {"engine": {"version": "26.1.5", "swarm": {**INACTIVE, "LocalNodeState": "active"}}},
        {"docker_daemon_options": {"live-restore": True}},
        ["pi-01 is a node of a swarm, with which live-restore cannot be used"]
    ),
    "another data-root on a node of a swarm": (
        "docker", "preflight", {"engine": {"version": "26.1.5", "swarm": {**INACTIVE, "LocalNodeState": "active"}}},
        {"docker_daemon_options": {"data-root": "/mnt/ssd/docker"}},
        ["pi-01 is a node of a swarm, and with another data-root it would be none any more"]
    ),
    "another data-root than that of containers": (
        "docker", "preflight", {"engine": {"version": "26.1.5", "swarm": INACTIVE, "containers": 1, "images": 2}},
        {"docker_daemon_options": {"data-root": "/mnt/ssd/docker"}},
        ["pi-01: another data-root leaves behind what the engine has, its containers (1), images (2) and volumes"]
    ),
    "batches of no size": (
        "docker", "preflight", {}, {"pifleet_rollout": [1, "half"]},
        ["pifleet_rollout must be a number of hosts, a percentage such as 10%, or a list of these."]
    ),
    "a label that is no string": (
        "swarm", "preflight", {}, {**SWARM, "swarm_node_labels": {"rack": 1}},
        ["swarm_node_labels takes strings only, so write the value with quotes: rack"]
    ),
    "manager and worker": (
        "swarm", "preflight", {}, {"swarm_managers": ["pi-01"], "swarm_workers": ["pi-01"]},
        ["pi-01 cannot be in both swarm_managers and swarm_workers"]
    ),
    "no engine": (
        "swarm", "apply", {"engine": None, "engine_error": "Docker Engine does not answer at /x."}, SWARM,
        ["pi-01 cannot be a node of a swarm: Docker Engine does not answer at /x."]
    ),
}  # fmt: skip


def test_the_host_and_the_reason_are_named(play: Play) -> None:
    cases = {
        name: ([role(of, part)], {"pifleet_host": {**HOST, **host}, **variables})
        for name, (of, part, host, variables, _sentences) in REFUSED.items()
    }
    outcomes = assert_refused(play, cases, {name: sentences for name, (*_case, sentences) in REFUSED.items()})
    assert "no user p" not in outcomes["strings in place of lists"].output
    assert "not in the inventory" not in outcomes["a string in place of the managers"].output


def test_what_is_right_passes(play: Play) -> None:
    engine = {"version": "26.1.5", "swarm": INACTIVE, "containers": 0, "images": 2}
    elsewhere = {"docker_daemon_options": {"data-root": "/mnt/ssd/docker"}}
    moved = {**HOST["files"], DAEMON_JSON: {"content": '{"data-root": "/mnt/ssd/docker"}', "mode": "0644"}}
    cases: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "docker": ("docker", {"engine": engine}, {}),
        "swarm": ("swarm", {}, SWARM),
        "an empty engine": ("docker", {"engine": {**engine, "images": 0}}, elsewhere),
        "data that may stay behind": ("docker", {"engine": engine}, {**elsewhere, "docker_leave_data_behind": True}),
        "data that was moved": ("docker", {"engine": engine, "files": moved}, elsewhere),
    }
    outcomes = run_each(
        play,
        {
            name: ([role(of, "preflight")], {"pifleet_host": {**HOST, **host}, **variables})
            for name, (of, host, variables) in cases.items()
        },
    )
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}


def test_no_host_decides_on_a_swarm_before_its_managers_are_gathered(play: Play) -> None:
    """As with the strategy free, where a worker may be here before the manager is."""
    output = apply(
        play, "swarm", "apply", {"pi-02": HOST, "pi-01": {}}, swarm_managers=["pi-01"], swarm_workers=["pi-02"]
    )
    assert "pi-02 cannot know yet whether pi-01 manages a swarm" in output
    assert "the role swarm needs the strategy linear" in output
