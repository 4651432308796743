# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment `package`: what differs, whether jobs are waited for, and what is refused, from what was gathered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core, on_one_core
from plays.play import ROOT, Play

pytestmark = pytest.mark.slow

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


def decided(play: Play, gathered: dict[str, Any], *names: str, **options: Any) -> list[Any]:
    """The values of these variables of the role."""
    shown = "{{ {" + ", ".join(f"'{name}': _gitlab_runner_{name}" for name in names) + "} | to_json }}"
    tasks = [
        {
            "ansible.builtin.include_role": {
                "name": "pifleet.ci.gitlab_runner",
                "tasks_from": "preflight",
                "public": True,
            }
        },
        {"ansible.builtin.raw": f"cat > {play.directory}/decided <<'END'\n{shown}\nEND"},
    ]
    plays = [{"hosts": "all", "tasks": tasks, "vars": {"pifleet_host": gathered, **SETTINGS, **options}}]
    done = play.run_plays(plays, *(["--check"] if options.get("check") else []))
    assert "failed=0" in done.stdout, done.stdout + done.stderr
    found = json.loads((play.directory / "decided").read_text())
    return [found[name] for name in names]


def installed(play: Play, **changes: Any) -> dict[str, Any]:
    """A Pi on which GitLab Runner runs as the package does, but for the changes."""
    drop_in, sources = decided(play, host(), "drop_in_content", "sources_content")
    as_wanted: dict[str, Any] = {
        "packages": dict.fromkeys(PACKAGES, "19.3.0-1"), "held_packages": PACKAGES, "units": {UNIT: RUNS},
        DROP_IN: a_file(drop_in), SOURCES: a_file(sources),
    }  # fmt: skip
    return host(**{**as_wanted, **changes})


@pytest.mark.parametrize(
    ("changes", "options", "differs", "disrupts"),
    [
        pytest.param({}, {}, False, False, id="nothing"),
        pytest.param({}, {"gitlab_runner_package": {"version": "19.4.*"}}, True, True, id="another version"),
        pytest.param({}, {"gitlab_runner_package": {"version": "19.*"}}, False, False, id="that version"),
        pytest.param({"held_packages": PACKAGES[:1]}, {}, True, False, id="a hold is missing"),
        pytest.param({}, {"gitlab_runner_stop_timeout": 60}, True, False, id="another timeout"),
        pytest.param({DROP_IN: None}, {}, True, False, id="installed by somebody else"),
        pytest.param({}, {"gitlab_runner_package": {"repository_url": "http://mirror"}}, True, False, id="a mirror"),
        pytest.param({"units": {UNIT: {**RUNS, "active": "failed"}}}, {}, True, False, id="it has failed"),
        pytest.param({"units": {UNIT: {**RUNS, "enabled": "disabled"}}}, {}, True, False, id="disabled"),
        pytest.param({}, {"_gitlab_runner_configured": {"takes_effect": "after_restart"}}, True, True, id="a restart"),
        pytest.param({"containers": {"gitlab-runner": CONTAINER}, "packages": {}, "units": {UNIT: ABSENT}}, {},
                     True, True, id="from the container"),
        pytest.param({INHIBIT: a_file("")}, {}, True, False, id="a play died between container and unit"),
        pytest.param({KEPT: a_file("19.2.0-1")}, {}, True, False, id="an upgrade died before it had proved itself"),
        pytest.param({"groups": {"docker": ["gitlab-runner"]}}, {}, True, False, id="a right that nobody asks for"),
        pytest.param({"groups": {"docker": ["gitlab-runner"]}}, {"docker_users": ["gitlab-runner"]}, False, False,
                     id="a right that the role docker gives"),
    ],
)  # fmt: skip
def test_jobs_are_waited_for_only_where_the_process_ends(
    play: Play, changes: dict[str, Any], options: dict[str, Any], differs: bool, disrupts: bool
) -> None:
    assert decided(play, installed(play, **changes), "run_differs", "disrupts", **options) == [differs, disrupts]


@on_one_core
@pytest.mark.parametrize(
    ("deployment", "gathered", "differs", "disrupts"),
    [
        ("container", {"containers": {"gitlab-runner": CONTAINER}}, False, False),
        ("container", {"units": {UNIT: RUNS}, DROP_IN: a_file("")}, True, True),
        ("service", {"units": {UNIT: RUNS}, DROP_IN: a_file("")}, True, True),
        ("container", {"containers": {"gitlab-runner": CONTAINER}, DROP_IN: a_file("")}, True, False),
    ],
    ids=[
        "nothing",
        "from the package",
        "from the package to the service",
        "a play died before the package was removed",
    ],
)
def test_the_package_leaves_after_its_jobs(
    play: Play, deployment: str, gathered: dict[str, Any], differs: bool, disrupts: bool
) -> None:
    options = {"gitlab_runner_deployment": deployment, "gitlab_runner_swarm_managers": ["pi-01"]}
    assert decided(play, host(**gathered), "run_differs", "disrupts", **options) == [differs, disrupts]


@on_one_core
def test_the_group_docker_is_only_for_a_runner_that_asks_for_it(play: Play) -> None:
    gathered = installed(play)
    names = ("wants_docker_group", "run_differs")
    assert decided(play, gathered, *names, gitlab_runner_runners=[DOCKER, SHELL]) == [False, False]
    asks = [DOCKER, {**SHELL, "docker_group": True}]
    assert decided(play, gathered, *names, gitlab_runner_runners=asks) == [True, True]


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


def refused(play: Play, gathered: dict[str, Any], **options: Any) -> str:
    include = {"ansible.builtin.include_role": {"name": "pifleet.ci.gitlab_runner", "tasks_from": "preflight"}}
    done = play.run_plays(
        [{"hosts": "all", "tasks": [include], "vars": {"pifleet_host": gathered, **SETTINGS, **options}}]
    )
    assert play.module_executions == 0
    assert "failed=1" in done.stdout, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        pytest.param({}, {"gitlab_runner_deployment": "container", "gitlab_runner_runners": [SHELL]},
                     "shell of pi-01 has the executor shell, whose jobs would run inside the container", id="shell"),
        pytest.param({}, {"gitlab_runner_runners": [{**DOCKER, "docker_group": True}]},
                     "docker_group of docker of pi-01 has no effect", id="docker_group of the executor docker"),
        pytest.param({}, {"gitlab_runner_deployment": "container", "gitlab_runner_image": "x",
                          "gitlab_runner_runners": [{**DOCKER, "docker_group": True}]},
                     "docker_group of docker of pi-01 has no effect", id="docker_group in a container"),
        pytest.param({"architecture": "armhf"}, {"gitlab_runner_deployment": "container"},
                     "runs a system for armhf, for which GitLab publishes no image of GitLab Runner: set "
                     "gitlab_runner_deployment to package", id="a 32-bit system in the container deployment"),
        pytest.param({"machine": "armv6l", "architecture": "armhf"}, {}, "pi-01 is an ARMv6 board", id="ARMv6"),
        pytest.param({"distribution": {"id": "fedora", "version": "44", "codename": "", "name": "Fedora 44"}}, {},
                     "pi-01 runs Fedora 44, for which GitLab Runner is not installed as a package", id="Fedora"),
        pytest.param({}, {"gitlab_runner_package": {"debs": [{"path": "/nowhere/x.deb", "sha256": "0" * 64}]}},
                     "gitlab_runner_package.debs needs for each package the path of a file", id="no such file"),
        pytest.param({}, {"gitlab_runner_package": {"debs": [{"path": "/etc/hostname", "sha256": "abc"}]}},
                     "sha256, 64 hexadecimal digits; it has /etc/hostname", id="no checksum"),
        pytest.param({}, {"gitlab_runner_package": {"versoin": "19"}}, "versoin", id="an option that does not exist"),
        pytest.param({"units": {UNIT: RUNS}}, {"gitlab_runner_deployment": "container"},
                     "pi-01 runs GitLab Runner as gitlab-runner.service, which this role has not installed",
                     id="somebody else's package beside the container"),
    ],
)  # fmt: skip
def test_one_sentence_before_anything_is_touched(
    play: Play, changes: dict[str, Any], options: dict[str, Any], sentence: str
) -> None:
    assert sentence in refused(play, host(**changes), **options)


NEW = {"gitlab_runner_package": {"version": "19.4.0-1"}}


@pytest.mark.parametrize(
    ("changes", "options", "upgrades", "previous"),
    [
        pytest.param({}, {}, False, "19.3.0-1", id="nothing"),
        pytest.param({}, NEW, True, "19.3.0-1", id="another version"),
        pytest.param({KEPT: a_file("19.2.0-1\n")}, {}, True, "19.2.0-1", id="it died before it had proved itself"),
        pytest.param({KEPT: a_file("19.2.0-1\n"), "packages": {}}, {}, True, "19.2.0-1", id="it died half installed"),
        pytest.param({"packages": {}, "units": {UNIT: ABSENT}}, NEW, False, None, id="a bare Pi"),
        pytest.param({"containers": {"gitlab-runner": CONTAINER}}, NEW, False, None, id="from the container"),
        pytest.param({INHIBIT: a_file("")}, NEW, False, None, id="it has never run"),
    ],
)  # fmt: skip
def test_there_is_a_way_back_where_a_version_ran_before(
    play: Play, changes: dict[str, Any], options: dict[str, Any], upgrades: bool, previous: str | None
) -> None:
    names = ["package_upgrades", *(["previous_version"] if previous else [])]
    assert decided(play, installed(play, **changes), *names, **options) == [upgrades, *([previous] if previous else [])]


@on_one_core
@pytest.mark.parametrize(
    ("changes", "options", "outdated"), [({}, {}, False), ({}, NEW, True), ({KEPT: a_file("19.2.0-1")}, {}, True)]
)
def test_the_playbook_upgrade_counts_another_version(
    play: Play, changes: dict[str, Any], options: dict[str, Any], outdated: bool
) -> None:
    """In check mode, in which nothing is fetched."""
    include = {"ansible.builtin.include_role": {"name": "pifleet.ci.gitlab_runner", "tasks_from": "outdated"}}
    shown = {"ansible.builtin.debug": {"msg": "outdated is {{ gitlab_runner_outdated | bool }}"}}
    variables = {"pifleet_host": installed(play, **changes), **SETTINGS, **options}
    done = play.run_plays([{"hosts": "all", "tasks": [include, shown], "vars": variables}], "--check")
    assert f"outdated is {outdated}" in done.stdout, done.stdout + done.stderr
    assert play.module_executions == 0
