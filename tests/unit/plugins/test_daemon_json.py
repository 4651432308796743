# SPDX-License-Identifier: GPL-3.0-or-later
"""What daemon.json becomes, and what the engine has to do for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.filter.daemon_json import daemon_json
from ansible_collections.pifleet.ci.plugins.plugin_utils._daemon_json import effect, merged

LIMITED = {"log-driver": "local", "log-opts": {"max-size": "10m", "max-file": "3"}}
MIRRORS = "registry-mirrors"


LIMITS = LIMITED["log-opts"]


def a_file(config: Any) -> dict[str, str]:
    return {"content": json.dumps(config, indent=7), "mode": "0600"}


def test_defaults_are_for_a_pi_without_a_file() -> None:
    assert merged(None, {}, {}) == LIMITED
    assert merged(None, {"log-driver": "json-file"}, {})["log-opts"] == LIMITED["log-opts"]
    assert merged(None, {"log-driver": "journald"}, {}) == {"log-driver": "journald"}
    assert merged(None, {"log-opts": {"max-file": "9"}}, {})["log-opts"] == {"max-size": "10m", "max-file": "9"}


@pytest.mark.parametrize(
    ("options", "additions", "expected"),
    [
        pytest.param({"debug": True}, {}, {"debug": True}, id="another key"),
        pytest.param({"data-root": "/x"}, {}, {"data-root": "/x"}, id="ours wins"),
        pytest.param({"data-root": None}, {}, {"data-root": ...}, id="null removes"),
        pytest.param({MIRRORS: ["c"]}, {}, {MIRRORS: ["c"]}, id="a list replaces"),
        pytest.param({}, {MIRRORS: ["c", "a", "c"]}, {MIRRORS: ["a", "b", "c"]}, id="additions are added once"),
        pytest.param({MIRRORS: None}, {MIRRORS: ["c"]}, {MIRRORS: ["c"]}, id="theirs removed, ours added"),
        pytest.param({"runtimes": {"x": {"a": 1}}}, {}, {"runtimes": {"x": {"path": "/x", "a": 1}}}, id="mapping"),
        pytest.param({"runtimes": {"x": None}}, {}, {"runtimes": {}}, id="null removes within a mapping"),
        pytest.param({"log-driver": "syslog"}, {}, {"log-opts": {"syslog-address": "udp://log"}}, id="same driver"),
        pytest.param({"log-driver": "journald"}, {}, {"log-driver": "journald", "log-opts": ...}, id="other driver"),
        pytest.param({"log-driver": "local"}, {}, LIMITED, id="driver with limits"),
        pytest.param({"log-driver": None}, {}, {"log-driver": ..., "log-opts": LIMITS}, id="their driver"),
    ],
)  # fmt: skip
def test_what_is_there_stays(
    options: dict[str, Any], additions: dict[str, list[str]], expected: dict[str, Any]
) -> None:
    found = {
        "data-root": "/mnt/ssd",
        MIRRORS: ["a", "b"],
        "runtimes": {"x": {"path": "/x"}},
        "log-driver": "syslog",
        "log-opts": {"syslog-address": "udp://log"},
    }
    before = json.dumps(found)
    wanted = {key: value for key, value in {**found, **expected}.items() if value is not ...}
    assert merged(found, options, additions) == wanted
    assert json.dumps(found) == before
    assert merged(wanted, options, additions) == wanted, "a second run changes nothing"


def test_another_formatting_is_no_change() -> None:
    found = a_file({"debug": True, **LIMITED})
    plan = daemon_json(found, {"debug": True, "log-driver": "local"})
    assert (plan["differs"], plan["content"], plan["effect"]) == (False, found["content"], "none")


def test_without_options_a_file_is_left_alone() -> None:
    found = a_file({"data-root": "/mnt/ssd"})
    plan = daemon_json(found, {}, {MIRRORS: []})
    assert (plan["differs"], plan["content"], plan["effect"]) == (False, found["content"], "none")


def test_a_written_file_keeps_the_order_of_the_keys() -> None:
    plan = daemon_json(a_file({"z": 1, "a": "ü"}), {"b": 2})
    assert plan["content"] == '{\n    "z": 1,\n    "a": "ü",\n    "b": 2\n}\n'
    assert plan["differs"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "it is empty"), (" \n", "it is empty"), ("[]", "it is JSON of another kind"), ('{"a": 1', "line 1 column 8")],
)
def test_what_is_no_object_is_not_merged(text: str, reason: str) -> None:
    plan = daemon_json({"content": text, "mode": "0644"}, {"debug": True})
    assert reason in plan["problem"]
    assert (plan["differs"], plan["content"]) == (False, text)


def test_a_list_that_is_none_is_not_added_to() -> None:
    assert daemon_json(a_file({MIRRORS: "m"}), additions={MIRRORS: ["n"]})["problem"] == f"{MIRRORS} is not a list"


@pytest.mark.parametrize(
    ("running", "wanted", "expected"),
    [
        ({"debug": True, "x": [1]}, {"x": [1], "debug": True}, "none"),
        ({}, {"debug": True, MIRRORS: ["m"], "live-restore": True}, "reload"),
        ({MIRRORS: ["m"]}, {MIRRORS: []}, "reload"),
        ({MIRRORS: ["m"]}, {}, "restart"),
        ({"max-concurrent-uploads": 1}, {}, "reload"),
        ({}, {"debug": True, "data-root": "/x"}, "restart"),
        ({"data-root": "/x"}, {}, "restart"),
        ({}, {"features": {"containerd-snapshotter": True}}, "restart"),
    ],
)
def test_a_restart_only_where_a_reload_does_not_do(
    running: dict[str, Any], wanted: dict[str, Any], expected: str
) -> None:
    assert effect(running, wanted) == expected


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        pytest.param({"debug": False, "data-root": "/x"}, "reload", id="a reload is pending"),
        pytest.param({"debug": True}, "restart", id="a restart is pending"),
        pytest.param({"debug": True, "data-root": "/x"}, "none", id="nothing after all"),
    ],
)
def test_what_an_earlier_play_did_not_come_to(running: dict[str, Any], expected: str) -> None:
    plan = daemon_json(a_file({"debug": True, "data-root": "/x"}), {"debug": True}, running=a_file(running))
    assert (plan["differs"], plan["effect"]) == (False, expected)


def test_an_empty_former_file_stands_for_none_and_a_broken_one_for_anything() -> None:
    found = a_file({"debug": True})
    assert daemon_json(found, running={"content": ""})["effect"] == "reload"
    assert daemon_json(found, running={"content": "{"})["effect"] == "restart"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, False),
        ({"debug": True, **LIMITED, MIRRORS: ["https://mirror.example.com"]}, False),
        ({"authorization-plugins": ["casbin"], "hosts": ["unix:///var/run/docker.sock"]}, False),
        ({"proxies": {"http-proxy": "http://proxy.example.com:3128", "no-proxy": "localhost"}}, False),
        ({"proxies": {"http-proxy": "http://me:password@proxy.example.com:3128"}}, True),
        ({"proxies": {"http-proxy": "me:password@proxy.example.com:3128"}}, True),
        ({MIRRORS: ["https://me:password@mirror.example.com"]}, True),
        ({"log-driver": "splunk", "log-opts": {"splunk-token": "176FCEBF", "splunk-url": "https://log"}}, True),
        ({"log-opts": {"splunk-token": ""}}, False),
        ({"labels": ["token=176FCEBF"]}, True),
    ],
)
def test_whether_it_has_credentials(config: dict[str, Any], expected: bool) -> None:
    assert daemon_json(a_file(config))["secret"] is expected
    assert daemon_json(None, config)["secret"] is expected
    assert daemon_json(a_file(config), dict.fromkeys(config))["secret"] is expected, (
        "the former ones are in the diff, too"
    )
