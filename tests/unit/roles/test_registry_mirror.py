# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role registry_mirror decides and refuses, from what was gathered of a host."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core, on_one_core
from plays.play import Play

pytestmark = pytest.mark.slow

UNIT = "docker-registry.service"
CONFIG, ENVIRONMENT = "/etc/docker/registry/mirror.yml", "/etc/docker/registry/mirror.env"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/pifleet-ci.conf"
LOGIN = {"registry_mirror_credentials": {"username": "hub", "password": 'ä "$\\` password'}}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def host(**changes: Any) -> dict[str, Any]:
    """What is gathered of a Pi without the mirror, but for the changes."""
    return {
        "packages": {},
        "units": {UNIT: {"enabled": "", "active": "inactive"}},
        "files": {CONFIG: None, DROP_IN: None},
        "checksums": {ENVIRONMENT: None},
        **changes,
    }


def run(play: Play, gathered: dict[str, Any], *arguments: str, **variables: Any) -> str:
    """The output of a play that validates, and then prints what the role decides."""
    include = {"name": "pifleet.ci.registry_mirror", "tasks_from": "preflight", "public": True}
    shown = (
        "DECIDED{{ {'steps': _registry_mirror_steps, 'config': _registry_mirror_config, "
        "'drop_in': _registry_mirror_drop_in, 'environment': _registry_mirror_environment} | to_json | b64encode }}END"
    )
    tasks = [{"ansible.builtin.include_role": include}, {"ansible.builtin.debug": {"msg": shown}}]
    done = play.run_plays(
        [{"hosts": "all", "tasks": tasks, "vars": {"pifleet_host": gathered, **variables}}], *arguments
    )
    assert play.module_executions == 0
    return done.stdout + done.stderr


def decided(play: Play, gathered: dict[str, Any], *arguments: str, **variables: Any) -> dict[str, Any]:
    output = run(play, gathered, *arguments, **variables)
    assert "failed=0" in output, output
    found: dict[str, Any] = json.loads(base64.b64decode(output.partition("DECIDED")[2].partition("END")[0]))
    return found


def installed(play: Play, **variables: Any) -> dict[str, Any]:
    """A Pi that is as the variables say."""
    wanted = decided(play, host(), **variables)
    environment = wanted["environment"]
    return host(
        packages={"docker-registry": "2.8.3"},
        units={UNIT: {"enabled": "enabled", "active": "active"}},
        files={
            path: {"content": wanted[name], "mode": "0644"} for path, name in ((CONFIG, "config"), (DROP_IN, "drop_in"))
        },
        checksums={ENVIRONMENT: hashlib.sha256(environment.encode()).hexdigest() if environment else None},
    )


def test_only_what_differs_is_done(play: Play) -> None:
    assert decided(play, host())["steps"] == ["install.yml"]
    assert decided(play, host(), "--check")["steps"] == ["report.yml"]
    there = installed(play)
    assert decided(play, there)["steps"] == []
    assert decided(play, there, registry_mirror_port=5001)["steps"] == ["install.yml"]
    assert decided(play, there, **LOGIN)["steps"] == ["install.yml"]
    assert decided(play, {**there, "units": host()["units"]})["steps"] == ["install.yml"]


@on_one_core
def test_removal(play: Play) -> None:
    absent = {"registry_mirror_state": "absent"}
    assert decided(play, host(), **absent)["steps"] == []
    assert decided(play, installed(play), **absent)["steps"] == ["uninstall.yml"]
    foreign = host(packages={"docker-registry": "2.8.3"})
    assert decided(play, foreign, **absent)["steps"] == [], "a registry that is not ours stays"


@on_one_core
def test_the_password_is_in_the_environment_file_only(play: Play) -> None:
    with_login = decided(play, installed(play, **LOGIN), **LOGIN)
    assert with_login["steps"] == []
    # systemd takes it as a shell takes what is in double quotes, but replaces no variables.
    password = r'REGISTRY_PROXY_PASSWORD="ä \"$\\` password"'
    assert with_login["environment"].splitlines() == [password, 'REGISTRY_PROXY_USERNAME="hub"']
    assert "ä" not in with_login["config"] + with_login["drop_in"]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        pytest.param({"registry_mirror_upstream_url": "docker.io"}, "must be the URL of a registry", id="URL"),
        pytest.param({"registry_mirror_port": 70000}, "must be from 1 to 65535, but is 70000", id="port"),
        pytest.param({"registry_mirror_directory": "/srv"}, "must be a directory for the mirror alone", id="directory"),
        pytest.param(
            {"registry_mirror_credentials": {"username": "hub"}}, "needs a username and a password", id="login"
        ),
    ],
)
def test_one_sentence_before_anything_is_touched(play: Play, variables: dict[str, Any], sentence: str) -> None:
    output = " ".join(run(play, host(), **variables).split())
    assert "failed=1" in output
    assert sentence in output


@on_one_core
def test_a_registry_of_somebody_else_is_refused(play: Play) -> None:
    output = " ".join(run(play, host(packages={"docker-registry": "2.8.3"})).split())
    assert "has the package docker-registry, which this role has not installed" in output
