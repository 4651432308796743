# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role s3_cache decides and refuses, from what was gathered of a host."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from drawing import takes
from plays.cores import on_every_core, on_one_core
from plays.play import ROOT, Play
from plays.table import assert_refused, run_each, show

pytestmark = [pytest.mark.slow, takes(26, "s3_cache")]

NAME = "pifleet-s3-cache"
CONFIG, DIRECTORY = "/etc/pifleet-s3-cache", "/var/lib/pifleet-s3-cache"
SECRETS = [f"{CONFIG}/{name}" for name in ("s3.json", "tls.crt", "tls.key")]
RECORD, MARK = f"{CONFIG}/record.json", f"{DIRECTORY}/.pifleet-ci"
KEYS = {"s3_cache_credentials": {"access_key": "lab", "secret_key": 'ä "$\\` key'}}
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n"
OURS = {
    "running": True,
    "labels": {"ci.pifleet.s3-cache": ""},
    "mounts": [{"type": "bind", "source": f"{DIRECTORY}/data", "target": "/data", "read_only": False}],
}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "s3.crt").write_text(CERTIFICATE)
    return {"s3_cache_certificate_file": str(tmp_path / "s3.crt"), "s3_cache_private_key": PRIVATE_KEY}


def host(**changes: Any) -> dict[str, Any]:
    """What is gathered of a Pi without the server, but for the changes."""
    return {
        "engine": {"version": "26.1.5"},
        "engine_error": "",
        "addresses": ["192.168.1.10"],
        "containers": {NAME: None},
        "files": {RECORD: None, MARK: None},
        "checksums": dict.fromkeys(SECRETS),
        "directories": {DIRECTORY: {"entries": None, "free": 100 * 10**9}},
        "listening_tcp_ports": [],
        **changes,
    }


def role(part: str) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": "pifleet.ci.s3_cache", "tasks_from": part, "public": True}}


def all_decided(
    play: Play, cases: dict[str, tuple[dict[str, Any], dict[str, Any]]], *arguments: str
) -> dict[str, dict[str, Any]]:
    """What the role decides on hosts of which this was gathered, with their options."""
    names = ("steps", "record", "secret_files", "command", "env", "published_port", "shell_input")
    shown = show("{" + ", ".join(f"'{name}': _s3_cache_{name}" for name in names) + "}")
    outcomes = run_each(
        play,
        {
            name: ([role("preflight"), shown], {"pifleet_host": gathered, **KEYS, **options})
            for name, (gathered, options) in cases.items()
        },
        *arguments,
    )
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}
    assert play.module_executions == 0
    return {name: outcome.value for name, outcome in outcomes.items()}


def decided(play: Play, gathered: dict[str, Any], *arguments: str, **options: Any) -> dict[str, Any]:
    return all_decided(play, {"": (gathered, options)}, *arguments)[""]


def installed(play: Play, **options: Any) -> dict[str, Any]:
    """A Pi that is as the options say."""
    wanted = decided(play, host(), **options)
    sums = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in wanted["secret_files"].items()}
    return host(
        containers={NAME: OURS},
        files={RECORD: {"content": wanted["record"], "mode": "0600"}, MARK: {"content": "", "mode": "0600"}},
        checksums={**dict.fromkeys(SECRETS), **sums},
        directories={DIRECTORY: {"entries": 2, "free": 10**9}},
        listening_tcp_ports=[options.get("s3_cache_port", 9000)],
    )


def test_only_what_differs_is_done(play: Play, tls: dict[str, Any]) -> None:
    there, with_tls, absent = installed(play), installed(play, **tls), {"s3_cache_state": "absent"}
    kept = host(files=there["files"] | {RECORD: None}, directories=there["directories"])
    steps: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
        "nothing is there": (host(), {}, ["install.yml"]),
        "as wanted": (there, {}, []),
        "as wanted, with TLS": (with_tls, tls, []),
        "TLS now": (there, tls, ["install.yml"]),
        "another key of TLS": (with_tls, {**tls, "s3_cache_private_key": PRIVATE_KEY + "\n"}, ["install.yml"]),
        "TLS no more": (with_tls, {}, ["install.yml"]),
        "another image": (there, {"s3_cache_image": "chrislusf/seaweedfs:4.50"}, ["install.yml"]),
        "another secret": (there, {"s3_cache_credentials": {"access_key": "lab", "secret_key": "b"}}, ["install.yml"]),
        "another port": (there | {"listening_tcp_ports": []}, {"s3_cache_port": 9001}, ["install.yml"]),
        "another size": (there, {"s3_cache_size": 20}, ["install.yml"]),
        "another age": (there, {"s3_cache_expire_days": 7}, ["install.yml"]),
        "it does not run": (
            there | {"containers": {NAME: OURS | {"running": False}}, "listening_tcp_ports": []},
            {},
            ["install.yml"],
        ),
        "a record after a power cut": (
            there | {"files": there["files"] | {RECORD: {"content": '{"port": 90', "mode": ""}}}, {}, ["install.yml"],
        ),
        "an empty record": (
            there | {"files": there["files"] | {RECORD: {"content": "", "mode": ""}}}, {}, ["install.yml"],
        ),
        "a run died": (there | {"files": there["files"] | {RECORD: None}}, {}, ["install.yml"]),
        "absent": (host(), absent, []),
        "absent, and no engine": (host(engine=None), absent, []),
        "removed": (there, absent, ["uninstall.yml"]),
        "removed, the data is kept": (kept, absent, []),
        "the data as well": (kept, {**absent, "s3_cache_remove_data": True}, ["uninstall.yml"]),
        "not the data, as -e says it": (kept, {**absent, "s3_cache_remove_data": "false"}, []),
        "somebody else's": (host(containers={NAME: OURS | {"labels": {}}}), absent, []),
        "data of before": (kept, {}, ["install.yml"]),
    }  # fmt: skip
    found = all_decided(play, {name: (gathered, options) for name, (gathered, options, _steps) in steps.items()})
    assert {name: each["steps"] for name, each in found.items()} == {
        name: expected for name, (*_case, expected) in steps.items()
    }
    assert decided(play, host(), "--check")["steps"] == ["report.yml"]


@on_one_core
def test_the_keys_are_in_files_only(play: Play, tls: dict[str, Any]) -> None:
    found = decided(play, host(), **tls)
    files = found.pop("secret_files")
    assert list(files) == SECRETS
    [identity] = json.loads(files[SECRETS[0]])["identities"]
    keys = KEYS["s3_cache_credentials"]
    assert identity["credentials"] == [{"accessKey": keys["access_key"], "secretKey": keys["secret_key"]}]
    assert identity["actions"] == ["Read:cache", "Write:cache"]
    assert [files[path] for path in SECRETS[1:]] == [CERTIFICATE, PRIVATE_KEY]
    rest = json.dumps(found, ensure_ascii=False)
    assert [secret for secret in (keys["secret_key"], "ä", "MIIE") if secret in rest] == []


@on_one_core
def test_what_the_server_is_told(play: Play, tls: dict[str, Any]) -> None:
    found = decided(play, host())
    assert {"-ip.bind=127.0.0.1", "-master.telemetry=false", "-volume.max=77"} <= set(found["command"])
    assert found["env"]["GOMEMLIMIT"] == str(256 * 1024 * 1024)
    assert found["published_port"] == "9000:8333"
    assert "-ttl=30d" in found["shell_input"]
    assert decided(play, host(), **tls)["published_port"] == "9000:8334"
    assert decided(play, host(), s3_cache_address="192.168.1.10")["published_port"] == "192.168.1.10:9000:8333"
    there = host(addresses=["fd00::1"])
    assert decided(play, there, s3_cache_address="fd00::1")["published_port"] == "[fd00::1]:9000:8333"


def test_one_sentence_before_anything_is_touched(play: Play, tls: dict[str, Any]) -> None:
    theirs = {"containers": {NAME: OURS | {"labels": {}}}}
    top = host(directories={"/srv": {"entries": 0, "free": 10**12}}, files={RECORD: None, "/srv/.pifleet-ci": None})
    full = {DIRECTORY: {"entries": None, "free": 11 * 10**9}}
    refused: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
        "no engine": (host(engine=None, engine_error="Off."), {}, "run the playbook pifleet.ci.site first. Off."),
        "no keys": (host(), {"s3_cache_credentials": {}}, "needs an access_key and a secret_key"),
        "one key": (host(), {"s3_cache_credentials": {"access_key": "a", "secret_key": ""}}, "needs an access_key and"),
        "bucket": (host(), {"s3_cache_bucket": "Cache"}, "lower-case letters, digits and hyphens, but is Cache"),
        "port": (host(), {"s3_cache_port": 70000}, "must be from 1 to 65535, but is 70000"),
        "address": (host(), {"s3_cache_address": "192.0.2.1"}, "does not have the address 192.0.2.1"),
        "directory": (top, {"s3_cache_directory": "/srv"}, "must be a directory for the server alone"),
        "size": (host(), {"s3_cache_size": 0}, "must be at least 1 GB, but is 0"),
        "days": (host(), {"s3_cache_expire_days": 365}, "must be from 1 to 255, but is 365"),
        "memory": (host(), {"s3_cache_memory": "128M"}, "must be at least 256M"),
        "memory's unit": (host(), {"s3_cache_memory": "much"}, "such as 512M or 1G, but is much"),
        "no key of TLS": (host(), tls | {"s3_cache_private_key": ""}, "belong together"),
        "no certificate": (host(), tls | {"s3_cache_certificate_file": "no.crt"}, "there is no file no.crt"),
        "a key that is none": (host(), tls | {"s3_cache_private_key": "MIIE"}, "its key (-----BEGIN PRIVATE KEY-----)"),
        "their container": (host(**theirs), {}, f"has a container {NAME}, which this role has not made"),
        "their files": (
            host(directories={DIRECTORY: {"entries": 3, "free": 10**12}}), {}, f"has files in {DIRECTORY}",
        ),
        "the disk is not mounted": (host(containers={NAME: OURS}), {}, "mount the disk, or remove the container"),
        "too small": (host(directories=full), {}, "has 11 GB free at /var/lib/pifleet-s3-cache"),
        "removed without an engine": (
            host(engine=None, engine_error="Off.", checksums={**dict.fromkeys(SECRETS), SECRETS[0]: "abc"}),
            {"s3_cache_state": "absent"}, "cannot be removed, because no Docker Engine answers: start it and run again",
        ),
        "their port": (host(listening_tcp_ports=[9000]), {}, "has a process that listens at port 9000"),
    }  # fmt: skip
    cases = {
        name: ([role("preflight")], {"pifleet_host": found, **KEYS, **options})
        for name, (found, options, _sentence) in refused.items()
    }
    outcomes = assert_refused(play, cases, {name: [sentence] for name, (*_case, sentence) in refused.items()})
    assert [name for name, outcome in outcomes.items() if "ä" in outcome.output or "MIIE" in outcome.output] == []


def test_what_is_removed_is_ours() -> None:
    """Files of ours may be there beside a container of somebody else that has its name."""
    tasks = yaml.safe_load((ROOT / "roles" / "s3_cache" / "tasks" / "uninstall.yml").read_text())
    [container] = [task for task in tasks if "community.docker.docker_container" in task]
    assert container["when"] == "_s3_cache_container_is_ours"
