# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment `package`: what differs, whether jobs are waited for, and what is refused, from what was gathered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drawing import takes
from plays.cores import on_every_core, on_one_core
from plays.play import ROOT, Play
from plays.table import Outcome, assert_refused, run_each, show

pytestmark = [pytest.mark.slow, takes(54, "package")]

DIRECTORY = "/etc/gitlab-runner"
UNIT = "gitlab-runner.service"
RUNS = {"enabled": "enabled", "active": "active"}
ABSENT = {"enabled": "", "active": "inactive"}
DROP_IN = f"/etc/systemd/system/{UNIT}.d/pifleet-ci.conf"
INHIBIT = f"/etc/systemd/system/{UNIT}.d/pifleet-ci-inhibit.conf"
SOURCES = "/etc/apt/sources.list.d/gitlab-runner.sources"
BASH_LOGOUT = "/home/gitlab-runner/.bash_logout"
KEPT = "/var/lib/pifleet-ci/previous-packages/version"
PACKAGES = ["gitlab-runner", "gitlab-runner-helper-images"]
IMAGE = "gitlab/gitlab-runner:alpine-v19.3.0"
CONTAINER = {
    "image": IMAGE, "image_id": "sha256:1", "running": True, "restart_policy": "always", "stop_signal": "SIGQUIT",
    "stop_timeout": 7200,
    "labels": {},
    "mounts": [
        {"type": "bind", "source": path, "target": path, "read_only": False}
        for path in (DIRECTORY, "/var/run/docker.sock")
    ],
}  # fmt: skip
SHELL = {"name": "shell", "config": {"executor": "shell"}}
DOCKER = {"name": "docker", "config": {"executor": "docker", "docker": {"image": "debian:bookworm"}}}
SETTINGS: dict[str, Any] = {
    "gitlab_runner_deployment": "package",
    "gitlab_runner_url": "https://gitlab.example.com",
    "gitlab_runner_api_token": "glpat-0123456789",
    "gitlab_runner_defaults": {"gitlab": {"runner_type": "project_type", "project_id": 42}},
    "gitlab_runner_runners": [DOCKER],
    "_gitlab_runner_registered": {"config_differs": True},
    "_gitlab_runner_configured": {"takes_effect": "now"},
}


def a_file(content: str) -> dict[str, str]:
    return {"content": content, "mode": "0644"}


def host(**changes: Any) -> dict[str, Any]:
    """A Pi without GitLab Runner, but for the changes; files are given by path."""
    files = dict.fromkeys(
        (f"{DIRECTORY}/.runner_system_id", f"{DIRECTORY}/.restart-pending", f"{DIRECTORY}/.reload-pending",
         DROP_IN, INHIBIT, SOURCES, BASH_LOGOUT, KEPT)
    )  # fmt: skip
    files |= {name: changes.pop(name) for name in list(changes) if name.startswith("/")}
    return {
        "architecture": "arm64",
        "machine": "aarch64",
        "machine_id": "1",
        "ssh_host_key": "k",
        "cgroup_controllers": ["memory"],
        "distribution": {"id": "debian", "version": "13", "codename": "trixie", "name": "Debian GNU/Linux 13 (trixie)"},
        "packages": {},
        "held_packages": [],
        "units": {UNIT: ABSENT},
        "outdated_units": [],
        "groups": {"docker": ["pi"]},
        "files": files,
        "checksums": {f"{DIRECTORY}/.registry-credentials/.docker/config.json": None},
        "engine": {"version": "26.1.5", "swarm": {"LocalNodeState": "inactive"}},
        "containers": {"gitlab-runner": None},
        "images": {IMAGE: "sha256:1"},
        "services": [],
        **changes,
    }


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def role(part: str) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": "pifleet.ci.gitlab_runner", "tasks_from": part, "public": True}}


def all_decided(
    play: Play, cases: dict[str, tuple[dict[str, Any], dict[str, Any]]], *names: str
) -> dict[str, list[Any]]:
    """The values of these variables of the role, for hosts of which this was gathered, with their options."""
    tasks = [role("preflight"), show("[" + ", ".join(f"_gitlab_runner_{name}" for name in names) + "]")]
    outcomes = run_each(
        play,
        {
            name: (tasks, {"pifleet_host": gathered, **SETTINGS, **options})
            for name, (gathered, options) in cases.items()
        },
    )
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}
    return {name: outcome.value for name, outcome in outcomes.items()}


def decided(play: Play, gathered: dict[str, Any], *names: str, **options: Any) -> list[Any]:
    return all_decided(play, {"": (gathered, options)}, *names)[""]


_AS_WANTED: dict[str, list[str]] = {}
"""The content of the unit's drop-in and of the apt sources, by ansible-playbook program."""


def installed(play: Play, **changes: Any) -> dict[str, Any]:
    """A Pi on which GitLab Runner runs as the package does, but for the changes."""
    if play.program not in _AS_WANTED:
        _AS_WANTED[play.program] = decided(play, host(), "drop_in_content", "sources_content")
    drop_in, sources = _AS_WANTED[play.program]
    as_wanted: dict[str, Any] = {
        "packages": dict.fromkeys(PACKAGES, "19.3.0-1"), "held_packages": PACKAGES, "units": {UNIT: RUNS},
        DROP_IN: a_file(drop_in), SOURCES: a_file(sources),
    }  # fmt: skip
    return host(**{**as_wanted, **changes})


DECISIONS: dict[str, tuple[dict[str, Any], dict[str, Any], bool, bool]] = {
    "nothing": ({}, {}, False, False),
    "another version": ({}, {"gitlab_runner_package": {"version": "19.4.*"}}, True, True),
    "that version": ({}, {"gitlab_runner_package": {"version": "19.*"}}, False, False),
    "a hold is missing": ({"held_packages": PACKAGES[:1]}, {}, True, False),
    "another timeout": ({}, {"gitlab_runner_stop_timeout": 60}, True, False),
    "installed by somebody else": ({DROP_IN: None}, {}, True, False),
    "a mirror": ({}, {"gitlab_runner_package": {"repository_url": "http://mirror"}}, True, False),
    "it has failed": ({"units": {UNIT: {**RUNS, "active": "failed"}}}, {}, True, False),
    "disabled": ({"units": {UNIT: {**RUNS, "enabled": "disabled"}}}, {}, True, False),
    "a restart": ({}, {"_gitlab_runner_configured": {"takes_effect": "after_restart"}}, True, True),
    "from the container": (
        {"containers": {"gitlab-runner": CONTAINER}, "packages": {}, "units": {UNIT: ABSENT}}, {}, True, True
    ),
    "a play died between container and unit": ({INHIBIT: a_file("")}, {}, True, False),
    "a play died before systemd had read the drop-in": ({"outdated_units": [UNIT]}, {}, True, True),
    "an upgrade died before it had proved itself": ({KEPT: a_file("19.2.0-1")}, {}, True, False),
    "a right that nobody asks for": ({"groups": {"docker": ["gitlab-runner"]}}, {}, True, False),
    "a right that the role docker gives": (
        {"groups": {"docker": ["gitlab-runner"]}}, {"docker_users": ["gitlab-runner"]}, False, False
    ),
}  # fmt: skip


def test_jobs_are_waited_for_only_where_the_process_ends(play: Play) -> None:
    cases = {name: (installed(play, **changes), options) for name, (changes, options, *_expected) in DECISIONS.items()}
    found = all_decided(play, cases, "run_differs", "disrupts")
    assert found == {name: expected for name, (_changes, _options, *expected) in DECISIONS.items()}


CHANGES: dict[str, tuple[str, dict[str, Any], bool, bool]] = {
    "nothing": ("container", {"containers": {"gitlab-runner": CONTAINER}}, False, False),
    "from the package": ("container", {"units": {UNIT: RUNS}, DROP_IN: a_file("")}, True, True),
    "from the package to the service": ("service", {"units": {UNIT: RUNS}, DROP_IN: a_file("")}, True, True),
    "a play died before the package was removed": (
        "container", {"containers": {"gitlab-runner": CONTAINER}, DROP_IN: a_file("")}, True, False
    ),
}  # fmt: skip


@on_one_core
def test_the_package_leaves_after_its_jobs(play: Play) -> None:
    swarm = {"gitlab_runner_swarm_managers": ["pi-01"]}
    cases = {
        name: (host(**gathered), {"gitlab_runner_deployment": deployment, **swarm})
        for name, (deployment, gathered, *_expected) in CHANGES.items()
    }
    found = all_decided(play, cases, "run_differs", "disrupts")
    assert found == {name: expected for name, (_deployment, _gathered, *expected) in CHANGES.items()}


@on_one_core
def test_the_group_docker_is_only_for_a_runner_that_asks_for_it(play: Play) -> None:
    gathered = installed(play)
    names = ("wants_docker_group", "run_differs")
    assert decided(play, gathered, *names, gitlab_runner_runners=[DOCKER, SHELL]) == [False, False]
    asks = [DOCKER, {**SHELL, "docker_group": True}]
    assert decided(play, gathered, *names, gitlab_runner_runners=asks) == [True, True]


@on_one_core
def test_the_command_line_gives_strings(play: Play) -> None:
    """-e NAME=VALUE, and templates of variables that were given so."""
    as_container = host(containers={"gitlab-runner": CONTAINER})
    timeout = {"gitlab_runner_deployment": "container", "gitlab_runner_stop_timeout": "7200"}
    assert decided(play, as_container, "run_differs", "disrupts", **timeout) == [False, False]
    runners = [{**SHELL, "docker_group": value} for value in ("false", "no", "0")]
    for number, runner in enumerate(runners):
        runner["name"] = f"shell{number}"
    assert decided(play, installed(play), "wants_docker_group", gitlab_runner_runners=runners) == [False]
    runners[0]["docker_group"] = "yes"
    assert decided(play, installed(play), "wants_docker_group", gitlab_runner_runners=runners) == [True]


@on_one_core
def test_the_bash_logout_of_debian_goes_and_any_other_stays(play: Play) -> None:
    of_debian = installed(play, **{BASH_LOGOUT: a_file("[ -x /usr/bin/clear_console ] && /usr/bin/clear_console -q\n")})
    assert decided(play, of_debian, "bash_logout_fails", gitlab_runner_runners=[SHELL]) == [True]
    assert decided(play, of_debian, "bash_logout_fails") == [False]
    other = installed(play, **{BASH_LOGOUT: a_file("rm -rf ~/.cache\n")})
    assert decided(play, other, "bash_logout_fails", gitlab_runner_runners=[SHELL]) == [False]


@on_one_core
def test_both_packages_are_installed_at_once_in_one_version(play: Play) -> None:
    [targets] = decided(play, host(), "apt_targets")
    assert targets == ["gitlab-runner-helper-images=19.3.0-*", "gitlab-runner=19.3.0-*"]
    debs = [{"path": str(path), "sha256": "0" * 64} for path in sorted(ROOT.glob("*.toml"))]
    [targets] = decided(play, host(), "apt_targets", gitlab_runner_package={"debs": debs})
    assert targets == ["/var/cache/pifleet-ci/pyproject.toml"]


@on_one_core
def test_a_relative_path_of_a_package_starts_at_the_playbook(play: Play) -> None:
    """Where ansible-playbook was started says nothing: copy looks there for no file."""
    directory = play.directory / "files"
    directory.mkdir()
    (directory / "runner.deb").touch()
    debs = [{"path": "files/runner.deb", "sha256": "0" * 64}]
    [[deb]] = decided(play, host(), "debs", gitlab_runner_package={"debs": debs})
    assert deb == {"path": str(directory / "runner.deb"), "sha256": "0" * 64}


@on_one_core
def test_resume_without_a_drain_does_nothing(play: Play) -> None:
    """As after a failure that came before the drain, whose reason would not be said otherwise."""
    outcome = run_each(play, {"": ([role("resume")], {"pifleet_host": host(), **SETTINGS})})[""]
    assert not outcome.failed, outcome.output
    assert play.module_executions == 0


@on_one_core
def test_the_sources_are_those_of_the_distribution(play: Play) -> None:
    raspbian = {"id": "raspbian", "version": "12", "codename": "bookworm", "name": "Raspbian GNU/Linux 12 (bookworm)"}
    pi = host(distribution=raspbian, architecture="armhf")
    [text] = decided(play, pi, "sources_content", gitlab_runner_package={"repository_url": "http://mirror/runner/"})
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    assert fields == {
        "Types": "deb", "URIs": "http://mirror/runner/raspbian", "Suites": "bookworm", "Components": "main",
        "Architectures": "armhf",
    }  # fmt: skip
    _fields, key = text.split("Signed-By:\n")
    assert key.startswith(" -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF5dI2sBEAC")
    assert all(line.startswith(" ") and line.strip() for line in key.splitlines())


KEY = "/etc/apt/keyrings/runner_gitlab-runner-archive-keyring.gpg"
REPOSITORY = "https://packages.gitlab.com/runner/gitlab-runner/debian"
OTHER_SOURCES: dict[str, tuple[str, str, bool]] = {
    "one line": ("list", f"deb [signed-by={KEY}] {REPOSITORY}/ trixie main\n", False),
    "deb822": ("sources", f"Types: deb\nURIs: {REPOSITORY}\nSuites: trixie\nSigned-By: {KEY}\n", False),
    "another release": ("list", f"deb {REPOSITORY}/ bookworm main\n", True),
    "a mirror": ("list", "deb https://mirror.example.com/runner/gitlab-runner/debian/ trixie main\n", True),
}  # fmt: skip


@on_one_core
def test_a_repository_that_somebody_else_has_added_is_not_added_again(play: Play) -> None:
    cases = {
        name: (host(**{f"/etc/apt/sources.list.d/runner_gitlab-runner.{form}": a_file(content)}), {})
        for name, (form, content, _differs) in OTHER_SOURCES.items()
    }
    found = all_decided(play, cases, "sources_differ")
    assert found == {name: [differs] for name, (_form, _content, differs) in OTHER_SOURCES.items()}


@on_one_core
def test_another_directory_is_told_to_the_unit_and_restarts_it(play: Play) -> None:
    markers = dict.fromkeys(f"/srv/gitlab-runner/.{name}-pending" for name in ("restart", "reload"))
    checksums = dict.fromkeys(
        f"{path}/.registry-credentials/.docker/config.json" for path in (DIRECTORY, "/srv/gitlab-runner")
    )
    gathered = installed(play, **markers, checksums=checksums)
    names = ("drop_in_content", "disrupts")
    [default, disrupts] = decided(play, gathered, *names)
    assert ("ExecStart" in default, disrupts) == (False, False)
    [text, disrupts] = decided(play, gathered, *names, gitlab_runner_config_dir="/srv/gitlab-runner")
    lines = text.splitlines()
    assert lines[-2] == "ExecStart=", "it is added to that of the package otherwise"
    assert "run --config /srv/gitlab-runner/config.toml --working-directory /home/gitlab-runner" in lines[-1]
    assert disrupts


def all_refused(
    play: Play,
    cases: dict[str, tuple[dict[str, Any], dict[str, Any]]],
    sentences: dict[str, list[str]],
) -> dict[str, Outcome]:
    """Assert that each case, a host of which this was gathered with its options, is refused with its sentences."""
    variables = {name: {"pifleet_host": gathered, **SETTINGS, **options} for name, (gathered, options) in cases.items()}
    return assert_refused(play, {name: ([role("preflight")], case) for name, case in variables.items()}, sentences)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a string in place of a list": (
        {}, {"gitlab_runner_swarm_managers": "pi-01"},
        "pi-01: gitlab_runner_swarm_managers must be a list also where it has one element"
    ),
    "shell": (
        {}, {"gitlab_runner_deployment": "container", "gitlab_runner_runners": [SHELL]},
        "shell of pi-01 has the executor shell, whose jobs would run inside the container"
    ),
    "docker_group of the executor docker": (
        {}, {"gitlab_runner_runners": [{**DOCKER, "docker_group": True}]},
        "docker_group of docker of pi-01 has no effect"
    ),
    "docker_group in a container": (
        {},
        {"gitlab_runner_deployment": "container", "gitlab_runner_image": "x",
         "gitlab_runner_runners": [{**DOCKER, "docker_group": True}]},
        "docker_group of docker of pi-01 has no effect"
    ),
    "a 32-bit system in the container deployment": (
        {"architecture": "armhf"}, {"gitlab_runner_deployment": "container"},
        "runs a system for armhf, for which GitLab publishes no image of GitLab Runner: set "
        "gitlab_runner_deployment to package",
    ),
    "ARMv6": ({"machine": "armv6l", "architecture": "armhf"}, {}, "pi-01 is an ARMv6 board"),
    "Fedora": (
        {"distribution": {"id": "fedora", "version": "44", "codename": "", "name": "Fedora 44"}}, {},
        "pi-01 runs Fedora 44, for which GitLab Runner is not installed as a package"
    ),
    "no such file": (
        {}, {"gitlab_runner_package": {"debs": [{"path": "/nowhere/x.deb", "sha256": "0" * 64}]}},
        "gitlab_runner_package.debs needs for each package the path of a file"
    ),
    "no checksum": (
        {}, {"gitlab_runner_package": {"debs": [{"path": "/etc/hostname", "sha256": "abc"}]}},
        "sha256, 64 hexadecimal digits; it has /etc/hostname"
    ),
    "an option that does not exist": ({}, {"gitlab_runner_package": {"versoin": "19"}}, "versoin"),
    "somebody else's package beside the container": (
        {"units": {UNIT: RUNS}}, {"gitlab_runner_deployment": "container"},
        "pi-01 runs GitLab Runner as gitlab-runner.service, which this role has not installed"
    ),
}  # fmt: skip


def test_one_sentence_before_anything_is_touched(play: Play) -> None:
    cases = {name: (host(**changes), options) for name, (changes, options, _sentence) in REFUSED.items()}
    all_refused(play, cases, {name: [sentence] for name, (*_case, sentence) in REFUSED.items()})


NEW = {"gitlab_runner_package": {"version": "19.4.0-1"}}
UPGRADES: dict[str, tuple[dict[str, Any], dict[str, Any], bool, str | None]] = {
    "nothing": ({}, {}, False, "19.3.0-1"),
    "another version": ({}, NEW, True, "19.3.0-1"),
    "it died before it had proved itself": ({KEPT: a_file("19.2.0-1\n")}, {}, True, "19.2.0-1"),
    "it died half installed": ({KEPT: a_file("19.2.0-1\n"), "packages": {}}, {}, True, "19.2.0-1"),
    "a bare Pi": ({"packages": {}, "units": {UNIT: ABSENT}}, NEW, False, None),
    "from the container": ({"containers": {"gitlab-runner": CONTAINER}}, NEW, False, None),
    "it has never run": ({INHIBIT: a_file("")}, NEW, False, None),
}


def test_there_is_a_way_back_where_a_version_ran_before(play: Play) -> None:
    cases = {name: (installed(play, **changes), options) for name, (changes, options, *_expected) in UPGRADES.items()}
    found = all_decided(play, cases, "package_upgrades")
    assert found == {name: [upgrades] for name, (*_case, upgrades, _previous) in UPGRADES.items()}
    previous = {name: version for name, (*_case, version) in UPGRADES.items() if version}
    found = all_decided(play, {name: cases[name] for name in previous}, "previous_version")
    assert found == {name: [version] for name, version in previous.items()}


@on_one_core
def test_the_playbook_upgrade_counts_another_version(play: Play) -> None:
    """In check mode, in which nothing is fetched."""
    found = {"nothing": ({}, {}), "another version": ({}, NEW), "it died": ({KEPT: a_file("19.2.0-1")}, {})}
    tasks = [role("outdated"), show("gitlab_runner_outdated | bool")]
    cases: dict[str, Any] = {
        name: (tasks, {"pifleet_host": installed(play, **changes), **SETTINGS, **options})
        for name, (changes, options) in found.items()
    }
    outcomes = run_each(play, cases, "--check")
    assert {name: outcome.value for name, outcome in outcomes.items()} == {
        "nothing": False, "another version": True, "it died": True
    }  # fmt: skip
    assert play.module_executions == 0
