# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role docker decides from what has been gathered: what is to be done, and whether running containers end."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays.cores import on_every_core, on_one_core
from plays.play import ROOT, Play
from plays.table import run_each, show

pytestmark = pytest.mark.slow

DAEMON_JSON = "/etc/docker/daemon.json"
APT = "/etc/apt/apt.conf.d/52pifleet-ci"
ENGINE = {"docker.io": "26.1.5+dfsg1-9", "docker-cli": "26.1.5+dfsg1-9", "containerd": "1.7", "runc": "1.1"}
WITHOUT_CLIENT = {name: version for name, version in ENGINE.items() if name != "docker-cli"}
TOOLS = {"apparmor": "4", "python3-docker": "7"}
DEBIAN_13 = {"id": "debian", "version": "13", "codename": "trixie", "name": "Debian GNU/Linux 13 (trixie)"}
STATE = {"LocalNodeState": "inactive"}
UNITS = {
    "docker.service": {"enabled": "enabled", "active": "active"},
    "snap.docker.dockerd.service": {"enabled": "", "active": "inactive"},
}


def a_file(content: str) -> dict[str, str]:
    return {"content": content, "mode": "0644"}


def host(**changes: Any) -> dict[str, Any]:
    """A Pi on which nothing differs, but for the changes; files are given by path."""
    files = {DAEMON_JSON: a_file('{"debug": false}'), f"{DAEMON_JSON}.running": None, APT: None}
    files |= {name: changes.pop(name) for name in list(changes) if name.startswith("/")}
    return {
        "architecture": "arm64",
        "machine": "aarch64",
        "distribution": DEBIAN_13,
        "packages": {**ENGINE, **TOOLS},
        "held_packages": [],
        "units": UNITS,
        "groups": {"docker": ["pi"]},
        "users": ["pi"],
        "time": time.time(),
        "files": {**files, "/etc/apt/sources.list.d/docker.sources": None},
        "engine": {"version": "26.1.5", "swarm": STATE},
        **changes,
    }


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def all_decided(
    play: Play, cases: dict[str, tuple[dict[str, Any], dict[str, Any]]], *names: str
) -> dict[str, list[Any]]:
    """The values of these variables of the role, for hosts of which this was gathered, with their options."""
    preflight = {"name": "pifleet.ci.docker", "tasks_from": "preflight", "public": True}
    tasks = [
        {"ansible.builtin.include_role": preflight},
        show("[" + ", ".join(f"_docker_{name}" for name in names) + "]"),
    ]
    outcomes = run_each(
        play, {name: (tasks, {"pifleet_host": gathered, **options}) for name, (gathered, options) in cases.items()}
    )
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}
    return {name: outcome.value for name, outcome in outcomes.items()}


def decided(play: Play, gathered: dict[str, Any], *names: str, **options: Any) -> list[Any]:
    return all_decided(play, {"": (gathered, options)}, *names)[""]


DECISIONS: dict[str, tuple[dict[str, Any], dict[str, Any], str, bool]] = {
    "nothing": ({}, {}, "start", False),
    "a reload": ({}, {"docker_daemon_options": {"debug": True}}, "reload", False),
    "a restart": ({}, {"docker_daemon_options": {"data-root": "/x"}}, "restart", True),
    "pending": ({f"{DAEMON_JSON}.running": a_file('{"data-root": "/x"}')}, {}, "restart", True),
    "pending, without former file": ({f"{DAEMON_JSON}.running": a_file("")}, {}, "reload", False),
    "no engine runs": (
        {"units": {**UNITS, "docker.service": {"enabled": "enabled", "active": "failed"}}, "engine": None},
        {"docker_daemon_options": {"data-root": "/x"}}, "start", False
    ),
    "a bare Pi": ({"packages": {}, "engine": None, DAEMON_JSON: None}, {}, "restart", False),
    "python3-docker is missing": ({"packages": {**ENGINE, "apparmor": "4"}}, {}, "start", False),
    "another version": ({}, {"docker_version": "27.*"}, "start", True),
    "the client is missing": ({"packages": {**WITHOUT_CLIENT, **TOOLS}}, {}, "start", True),
    "the client of another version is missing": (
        {"packages": {**WITHOUT_CLIENT, **TOOLS}}, {"docker_version": "27.*"}, "start", True
    ),
    "that version": ({}, {"docker_version": "26.1.*"}, "start", False),
}  # fmt: skip


def test_containers_end_only_where_it_has_to_be(play: Play) -> None:
    cases = {name: (host(**changes), options) for name, (changes, options, *_expected) in DECISIONS.items()}
    found = all_decided(play, cases, "action", "disrupts")
    assert found == {name: expected for name, (_changes, _options, *expected) in DECISIONS.items()}


INSTALLED: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], list[str]]] = {
    "only what is missing": ({"packages": ENGINE}, {}, ["apparmor", "python3-docker"], []),
    "a bare Pi": (
        {"packages": {}, "engine": None}, {"docker_version": "26.*"},
        ["apparmor", "docker-cli=26.*", "docker.io=26.*", "python3-docker"], []
    ),
    "another version, and a tool is missing": (
        {"packages": ENGINE}, {"docker_version": "27.*"},
        ["apparmor", "python3-docker"], ["docker-cli=27.*", "docker.io=27.*"]
    ),
    "another version, and the client is missing": (
        {"packages": {**WITHOUT_CLIENT, **TOOLS}}, {"docker_version": "27.*"},
        [], ["docker-cli=27.*", "docker.io=27.*"]
    ),
    "the client is missing": ({"packages": {**WITHOUT_CLIENT, **TOOLS}}, {}, [], ["docker-cli", "docker.io"]),
    "another version of an engine that is stopped": (
        {"packages": {**WITHOUT_CLIENT, **TOOLS}, "engine": None}, {"docker_version": "27.*"},
        [], ["docker-cli=27.*", "docker.io=27.*"]
    ),
    "docker-ce without buildx": (
        {"packages": {"docker-ce": "29", "docker-ce-cli": "29", "containerd.io": "2", **TOOLS, "python3-debian": "1"}},
        {"docker_source": "docker"}, [], ["docker-buildx-plugin", "docker-ce", "docker-ce-cli"]
    ),
}  # fmt: skip


@on_one_core
def test_packages_of_an_engine_that_is_there_are_not_installed_before_its_jobs_have_ended(play: Play) -> None:
    cases = {name: (host(**changes), options) for name, (changes, options, *_expected) in INSTALLED.items()}
    gathered = all_decided(play, cases, "packages_to_install", "replaces_packages", "engine_packages_to_install")
    found = {name: (sorted(first), sorted(later) if waits else []) for name, (first, waits, later) in gathered.items()}
    assert found == {name: tuple(expected) for name, (_changes, _options, *expected) in INSTALLED.items()}


@on_one_core
def test_jobs_end_before_apt_replaces_the_engine_and_after_it_was_asked_for_it(play: Play) -> None:
    """In check mode, in which the version is validated, apt does not update its cache."""
    [_, block] = yaml.safe_load((ROOT / "roles" / "docker" / "tasks" / "configure.yml").read_text())[:2]
    tasks = [task for task in block["block"] if task.get("when") in ("_docker_replaces_packages", "_docker_disrupts")]
    assert [
        (next(iter(task.keys() - {"name", "when", "changed_when", "vars"})), task.get("vars")) for task in tasks
    ] == [
        ("ansible.builtin.apt", None),
        ("ansible.builtin.include_tasks", {"_docker_only_validate": True}),
        ("ansible.builtin.include_role", None),
        ("ansible.builtin.include_tasks", {"_docker_only_validate": False}),
    ]
    assert tasks[0]["ansible.builtin.apt"]["update_cache"] is True


LINE = "deb [arch=arm64 signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/debian {} stable\n"


@on_one_core
def test_a_repository_that_somebody_else_has_added_is_not_added_again(play: Play) -> None:
    lists = {
        "his": (LINE.format("trixie"), False), "of another release": (LINE.format("bookworm"), True),
        "switched off": (f"# {LINE.format('trixie')}", True),
    }  # fmt: skip
    source = {"docker_source": "docker"}
    cases = {
        name: (host(packages={}, **{"/etc/apt/sources.list.d/docker.list": a_file(content)}), source)
        for name, (content, _differs) in lists.items()
    }
    found = all_decided(play, cases, "repository_differs")
    assert found == {name: [differs] for name, (_content, differs) in lists.items()}


@on_one_core
def test_somebody_elses_hold_is_not_released(play: Play) -> None:
    names = ("missing_holds", "former_holds", "own_holds")
    pinned = host(held_packages=["runc"])
    ours = ["containerd", "docker-cli", "docker.io"]
    missing, *rest = decided(play, pinned, *names, docker_version="26.*")
    assert (sorted(missing), rest) == (ours, [[], ours])
    held = host(held_packages=["runc", *ours], **{APT: a_file(f"// Held: {' '.join(ours)}\n")})
    assert decided(play, held, *names, docker_version="26.*") == [[], [], ours]
    missing, former, own = decided(play, held, *names)
    assert (missing, sorted(former), own) == ([], ours, [])


def wait_for_clock(play: Play, seconds: int, **variables: Any) -> str:
    """Bring a Pi to the wanted state that differs in nothing but its clock, by so many seconds."""
    include = {"ansible.builtin.include_role": {"name": "pifleet.ci.docker", "tasks_from": "apply"}}
    gathered = {**host(), "time": time.time() + seconds}
    extra = json.dumps({"_docker_differs": False, "pifleet_host": gathered, **variables})
    done = play.run_plays([{"hosts": "all", "tasks": [include]}], "-e", extra)
    return " ".join((done.stdout + done.stderr).split())


@on_one_core
def test_the_clock_is_waited_for(play: Play) -> None:
    assert "failed=0" in wait_for_clock(play, 60)
    assert play.module_executions == 0
    assert "failed=0" in wait_for_clock(play, -90000)
    assert play.module_executions == 1
    output = wait_for_clock(play, -90000, _docker_control_node_time=int(time.time()) + 90000, _docker_clock_timeout=1)
    assert "pi-01: the clock differs from that of the control node by 180000 seconds" in output
    assert "failed=1" in output
