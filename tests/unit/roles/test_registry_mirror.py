# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role registry_mirror decides and refuses, from what was gathered of a host."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays.cores import on_every_core, on_one_core
from plays.play import Play
from plays.table import assert_refused, run_each, show

pytestmark = pytest.mark.slow

UNIT = "docker-registry.service"
CONFIG, ENVIRONMENT = "/etc/docker/registry/mirror.yml", "/etc/docker/registry/mirror.env"
PENDING = "/etc/docker/registry/mirror.pending"
DIRECTORY = "/var/lib/docker-registry"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/pifleet-ci.conf"
CERTIFICATE, KEY = "/etc/docker/registry/mirror.crt", "/etc/docker/registry/mirror.key"
EMPTY = {"content": "", "mode": "0644"}
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
LOGIN = {"registry_mirror_credentials": {"username": "hub", "password": 'ä "$\\` password'}}


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, Any]:
    certificate = tmp_path / "mirror.crt"
    certificate.write_text("-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n")
    return {"registry_mirror_certificate_file": str(certificate), "registry_mirror_private_key": PRIVATE_KEY}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def host(**changes: Any) -> dict[str, Any]:
    """What is gathered of a Pi without the mirror, but for the changes."""
    return {
        "packages": {},
        "units": {UNIT: {"enabled": "", "active": "inactive"}},
        "files": {CONFIG: None, DROP_IN: None, PENDING: None},
        "directories": {DIRECTORY: {"entries": None, "free": 10**9}},
        "listening_tcp_ports": [],
        "checksums": dict.fromkeys((ENVIRONMENT, CERTIFICATE, KEY)),
        **changes,
    }


def role(part: str) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": "pifleet.ci.registry_mirror", "tasks_from": part, "public": True}}


def all_decided(
    play: Play, cases: dict[str, tuple[dict[str, Any], dict[str, Any]]], *arguments: str
) -> dict[str, dict[str, Any]]:
    """What the role decides on hosts of which this was gathered, with their options."""
    names = ("steps", "config", "drop_in", "environment", "tls_files")
    shown = show("{" + ", ".join(f"'{name}': _registry_mirror_{name}" for name in names) + "}")
    tasks = [role("preflight"), shown]
    outcomes = run_each(
        play,
        {name: (tasks, {"pifleet_host": gathered, **options}) for name, (gathered, options) in cases.items()},
        *arguments,
    )
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}
    assert play.module_executions == 0
    return {name: outcome.value for name, outcome in outcomes.items()}


def decided(play: Play, gathered: dict[str, Any], *arguments: str, **options: Any) -> dict[str, Any]:
    return all_decided(play, {"": (gathered, options)}, *arguments)[""]


def installed(play: Play, **variables: Any) -> dict[str, Any]:
    """A Pi that is as the variables say."""
    wanted = decided(play, host(), **variables)
    secret_files = {**({ENVIRONMENT: wanted["environment"]} if wanted["environment"] else {}), **wanted["tls_files"]}
    sums = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in secret_files.items()}
    return host(
        packages={"docker-registry": "2.8.3"},
        units={UNIT: {"enabled": "enabled", "active": "active"}},
        files={
            CONFIG: {"content": wanted["config"], "mode": "0644"},
            DROP_IN: {"content": wanted["drop_in"], "mode": "0644"},
            PENDING: None,
        },
        directories={DIRECTORY: {"entries": 1, "free": 10**9}},
        listening_tcp_ports=[5000],
        checksums={**host()["checksums"], **sums},
    )


def test_only_what_differs_is_done(play: Play, tls: dict[str, Any]) -> None:
    there, with_tls, absent = installed(play), installed(play, **tls), {"registry_mirror_state": "absent"}
    steps: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
        "nothing is there": (host(), {}, ["install.yml"]),
        "as wanted": (there, {}, []),
        "as wanted, with TLS": (with_tls, tls, []),
        "TLS now": (there, tls, ["install.yml"]),
        "another key": (with_tls, tls | {"registry_mirror_private_key": PRIVATE_KEY + "\n"}, ["install.yml"]),
        "TLS no more": (with_tls, {}, ["install.yml"]),
        "another port": (there, {"registry_mirror_port": 5001}, ["install.yml"]),
        "another login": (there, LOGIN, ["install.yml"]),
        "a run died before the restart": ({**there, "files": {**there["files"], PENDING: EMPTY}}, {}, ["install.yml"]),
        "another directory": (
            {**there, "directories": {"/mnt/ssd/mirror": {"entries": 0, "free": 10**9}}},
            {"registry_mirror_directory": "/mnt/ssd/mirror"}, ["install.yml"],
        ),
        "it does not run": ({**there, "units": host()["units"], "listening_tcp_ports": []}, {}, ["install.yml"]),
        "absent": (host(), absent, []),
        "removed": (there, absent, ["uninstall.yml"]),
        "somebody else's": (host(packages={"docker-registry": "2.8.3"}), absent, []),
    }  # fmt: skip
    found = all_decided(play, {name: (gathered, options) for name, (gathered, options, _steps) in steps.items()})
    assert {name: each["steps"] for name, each in found.items()} == {
        name: expected for name, (*_case, expected) in steps.items()
    }
    assert decided(play, host(), "--check")["steps"] == ["report.yml"]


@on_one_core
def test_the_password_is_in_the_environment_file_only(play: Play) -> None:
    with_login = decided(play, installed(play, **LOGIN), **LOGIN)
    assert with_login["steps"] == []
    # systemd takes it as a shell takes what is in double quotes, but replaces no variables.
    password = r'REGISTRY_PROXY_PASSWORD="ä \"$\\` password"'
    assert with_login["environment"].splitlines() == [password, 'REGISTRY_PROXY_USERNAME="hub"']
    assert "ä" not in with_login["config"] + with_login["drop_in"]


@on_one_core
def test_the_key_is_in_its_file_only(play: Play, tls: dict[str, Any]) -> None:
    found = decided(play, host(), **tls)
    assert found["tls_files"][KEY] == PRIVATE_KEY
    copied = "/run/docker-registry/mirror.key"
    assert yaml.safe_load(found["config"])["http"]["tls"] == {"certificate": CERTIFICATE, "key": copied}
    command = f"+/usr/bin/install -o docker-registry -m 0400 {KEY} {copied}"
    assert f"ExecStartPre={command}" in found["drop_in"].splitlines()
    assert "MIIE" not in str([found[name] for name in ("config", "drop_in", "environment")])
    without = decided(play, host())
    assert ("tls" in without["config"], "ExecStartPre" in without["drop_in"]) == (False, False)


def test_one_sentence_before_anything_is_touched(play: Play, tls: dict[str, Any]) -> None:
    of_somebody_else = host(packages={"docker-registry": "2.8.3"})
    refused: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
        "URL": (host(), {"registry_mirror_upstream_url": "docker.io"}, "must be the URL of a registry"),
        "URL with a login": (
            host(), {"registry_mirror_upstream_url": "https://hub:hunter2@example.com"}, "has a login in it"
        ),
        "their port": (host(listening_tcp_ports=[5000]), {}, "has a process that listens at port 5000 already"),
        "port": (host(), {"registry_mirror_port": 70000}, "must be from 1 to 65535, but is 70000"),
        "directory": (
            host(directories={"/srv": {"entries": 0, "free": 10**9}}), {"registry_mirror_directory": "/srv"},
            "must be a directory for the mirror alone",
        ),
        "login": (host(), {"registry_mirror_credentials": {"username": "hub"}}, "needs a username and a password"),
        "no key": (host(), tls | {"registry_mirror_private_key": ""}, "belong together"),
        "no certificate": (host(), tls | {"registry_mirror_certificate_file": "no.crt"}, "there is no file no.crt"),
        "no PEM": (host(), tls | {"registry_mirror_private_key": "MIIE"}, "its key (-----BEGIN PRIVATE KEY-----)"),
        "another's": (of_somebody_else, {}, "has the package docker-registry, which this role has not installed"),
    }  # fmt: skip
    for path, entries, there in (("/var/lib", 40, installed(play)), (DIRECTORY, 3, host()), ("/mnt/a/../b", 0, host())):
        gathered = {**there, "directories": {path: {"entries": entries, "free": 10**9}}}
        sentence = (
            "a directory for the mirror alone" if ".." in path else f"has files in {path}, which the mirror has not"
        )
        refused[f"directory {path}"] = gathered, {"registry_mirror_directory": path}, sentence
    cases = {
        name: ([role("preflight")], {"pifleet_host": found, **variables})
        for name, (found, variables, _sentence) in refused.items()
    }
    outcomes = assert_refused(play, cases, {name: [sentence] for name, (*_case, sentence) in refused.items()})
    assert [name for name, outcome in outcomes.items() if "hunter2" in outcome.output] == []


@on_one_core
def test_what_is_removed_is_what_the_mirror_has_stored(play: Play) -> None:
    """Wherever the inventory says now that it stores: /var/lib/docker is the engine's."""
    shown = show("_registry_mirror_seen_directory")
    variables = {"registry_mirror_state": "absent", "registry_mirror_directory": "/var/lib"}
    cases = {
        "ours": ([role("preflight"), shown], {"pifleet_host": installed(play), **variables}),
        "none": ([role("preflight"), shown], {"pifleet_host": host(), **variables}),
    }
    found = {name: outcome.value for name, outcome in run_each(play, cases).items()}
    assert found == {"ours": DIRECTORY, "none": ""}


@on_one_core
def test_an_address_of_ipv6_is_in_brackets(play: Play) -> None:
    for given, expected in (("", ":5000"), ("192.0.2.1", "192.0.2.1:5000"), ("fd00::1", "[fd00::1]:5000")):
        found = decided(play, host(), registry_mirror_address=given)
        assert yaml.safe_load(found["config"])["http"]["addr"] == expected
