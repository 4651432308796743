# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversions, and the sentences that a user reads."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import schema
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import (
    SchemaError,
    ValidatedSettings,
    validate_settings,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.values import nanoseconds

UNKNOWN = "is not a key that GitLab Runner 19.3 knows"


def check(settings: dict[str, Any] | None = None, *, unknown_keys: str = "fail", **runner: Any) -> ValidatedSettings:
    return validate_settings(settings or {}, [{"name": "one"} | runner] if runner else [], unknown_keys=unknown_keys)


def problems(settings: dict[str, Any] | None = None, **runner: Any) -> list[str]:
    with pytest.raises(SchemaError) as error:
        check(settings, **runner)
    return error.value.problems


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ({"concurrent": "4"}, {"concurrent": 4}),
        ({"concurrent": 4.0}, {"concurrent": 4}),
        ({"CONCURRENT": 4}, {"concurrent": 4}),
        ({"concurrent": None}, {"concurrent": None}),
        ({"check_interval": "-1"}, {"check_interval": -1}),
        ({"connection_max_age": 900_000_000_000}, {"connection_max_age": 900_000_000_000}),
        ({"connection_max_age": "15m"}, {"connection_max_age": "15m"}),
        ({"log_level": "DEBUG"}, {"log_level": "DEBUG"}),
        (
            {"experimental": {"usage_logger": {"enabled": "True"}}},
            {"experimental": {"usage_logger": {"enabled": True}}},
        ),
    ],
)
def test_exact_conversions(given: dict[str, Any], becomes: dict[str, Any]) -> None:
    assert check(given).settings == becomes


def test_conversions_reach_into_entries() -> None:
    runner = check(
        limit="2",
        machine={"IdleScaleFactor": "1.5"},
        docker={"privileged": "false", "ulimit": {"nofile": "1024"}, "pull_policy": "never"},
        feature_flags={"FF_CONCRETE": "true"},
    ).runners[0]
    assert runner["limit"] == 2
    assert runner["machine"] == {"IdleScaleFactor": 1.5}
    assert runner["docker"]["privileged"] is False
    assert runner["docker"]["pull_policy"] == "never"
    assert runner["feature_flags"] == {"FF_CONCRETE": True}


@pytest.mark.parametrize(
    ("settings", "runner", "sentence"),
    [
        ({"concurrent": "4 "}, {}, "concurrent must be an integer, not a string that is something else."),
        ({"concurrent": True}, {}, "concurrent must be an integer, not a boolean."),
        ({"concurrent": 0}, {}, "concurrent must be at least 1."),
        (
            {"connection_max_age": 900},
            {},
            'connection_max_age must be a duration such as "1h30m", not an integer; '
            'GitLab Runner takes 900 for nanoseconds, write "900s".',
        ),
        (
            {"connection_max_age": "900"},
            {},
            'connection_max_age must be a duration such as "1h30m", not a string; it needs a unit, for instance s.',
        ),
        ({"concurent": 1}, {}, f"concurent {UNKNOWN}; the nearest is concurrent."),
        (
            {"limit": 1},
            {},
            f"limit {UNKNOWN}; limit belongs in [[runners]].",
        ),
        (
            {},
            {"privileged": True},
            f"runners[one].privileged {UNKNOWN}; privileged belongs in [runners.docker].",
        ),
        (
            {},
            {"docker": {"concurrent": 1}},
            f"runners[one].docker.concurrent {UNKNOWN}; concurrent belongs in the top level.",
        ),
        (
            {},
            {"docker": {"imag": "x"}},
            f"runners[one].docker.imag {UNKNOWN}; the nearest is image.",
        ),
        (
            {},
            {"pre_clone_script": "x"},
            "runners[one].pre_clone_script was last known to GitLab Runner 16.11; use runners.pre_get_sources_script.",
        ),
        ({"metrics_server": "x"}, {}, "metrics_server was last known to GitLab Runner 11.11; use listen_address."),
        (
            {},
            {"docker": {"image": 3.1}},
            "runners[one].docker.image must be a string, not a floating-point number; put it in quotes.",
        ),
        (
            {},
            {"docker": {"volumes": "/cache"}},
            "runners[one].docker.volumes must be a list, each item a string, not a string.",
        ),
        (
            {},
            {"docker": {"pull_policy": ["sometimes"]}},
            "runners[one].docker.pull_policy is 'sometimes'; GitLab Runner 19.3 knows always, if-not-present, never.",
        ),
        (
            {},
            {"feature_flags": {"FF_CONCRET": True}},
            "runners[one].feature_flags.FF_CONCRET is not a feature flag that GitLab Runner 19.3 knows; "
            "the nearest is FF_CONCRETE.",
        ),
        ({}, {"docker": {"services": [{"alias": "db"}]}}, "runners[one].docker.services[0] needs name."),
        (
            {},
            {"docker": {"sysctls": {1: "x"}}},
            "runners[one].docker.sysctls has the key 1, which is no string; put it in quotes.",
        ),
        ({}, {"machine": {"MachineName": "pi"}}, "runners[one].machine.MachineName must contain %s."),
        ({"labels": {"a": "x"}}, {}, "labels.a is a name that does not match ^[a-zA-Z0-9_][a-zA-Z0-9._-]{2,64}$."),
        ({"labels": {"abc": "x y"}}, {}, "labels.abc has a value that does not match ^[a-zA-Z0-9._-]{1,256}$."),
        ({"concurrent": 1, "Concurrent": 2}, {}, "Concurrent is given twice, in different spelling."),
        (
            {},
            {"clone_url": "gitlab.internal"},
            "runners[one].clone_url must begin with http://, https:// or ssh:// and a host; "
            "GitLab Runner ignores it otherwise.",
        ),
        (
            {},
            {"machine": {"autoscaling": [{"Timezone": "berlin"}]}},
            "runners[one].machine.autoscaling[0].Timezone is 'berlin', which is no time zone; "
            "they are written like Europe/Berlin.",
        ),
        (
            {},
            {"monitoring": {"job_queuing_durations": [{"periods": ["* * *", "@daily"]}]}},
            "runners[one].monitoring.job_queuing_durations[0].periods has the period '* * *' with fewer than 5 fields.",
        ),
        (
            {},
            {"monitoring": {"job_queuing_durations": [{"jobs_running_for_project": "pis/[a-z"}]}},
            "runners[one].monitoring.job_queuing_durations[0].jobs_running_for_project is 'pis/[a-z', which is no "
            "regular expression: unterminated character set.",
        ),
        ({"runners": []}, {}, "runners has a place of its own, the option runners."),
    ],
)
def test_sentences(settings: dict[str, Any], runner: dict[str, Any], sentence: str) -> None:
    assert problems(settings, **runner) == [sentence]


@pytest.mark.parametrize("expression", [r"^(?i)pis/", r"pis/\pL+", r"(?<where>pis)/\z"])
def test_what_only_go_has_in_an_expression_is_taken(expression: str) -> None:
    check(monitoring={"job_queuing_durations": [{"jobs_running_for_project": expression}]})


def test_every_problem_is_told_at_once() -> None:
    assert len(problems({"concurent": 1, "check_interval": "x"}, limit="y", docker={"imag": 1})) == 4


def test_names() -> None:
    with pytest.raises(SchemaError, match=r"runners\[0\] needs a name that is a string"):
        validate_settings({}, [{"limit": 1}])
    with pytest.raises(SchemaError, match=r"runners\[one\] is given more than once"):
        validate_settings({}, [{"name": "one"}, {"name": "one"}])


def test_labels_count_together() -> None:
    common = {f"common{i}": "x" for i in range(20)}
    assert check({"labels": common}, labels={f"own{i}": "x" for i in range(12)})
    assert problems({"labels": common}, labels={f"own{i}": "x" for i in range(13)}) == [
        "runners[one].labels and labels are 33 together; 32 are allowed."
    ]


@pytest.mark.parametrize("unknown", [{"brand_new": 1}, {"executor": "brand-new"}, {"feature_flags": {"FF_NEW": True}}])
def test_unknown_keys_and_values(unknown: dict[str, Any]) -> None:
    assert len(problems(**unknown)) == 1
    warned = check(unknown_keys="warn", **unknown)
    ignored = check(unknown_keys="ignore", **unknown)
    assert warned.runners == ignored.runners == [{"name": "one"} | unknown]
    assert (len(warned.warnings), ignored.warnings) == (1, [])


def test_no_secret_value_is_told() -> None:
    for key in schema().keys.values():
        if not (key.secret or key.free_form):
            continue
        tree: Any = {"hush": "hush"} if key.type == "string" else "hush"
        for name in reversed(key.path.removeprefix("runners.").split(".")):
            tree = {name: tree}
        settings = {} if key.path.startswith("runners.") else tree
        runners = [{"name": "one"} | tree] if key.path.startswith("runners.") else []
        with pytest.raises(SchemaError) as error:
            validate_settings(settings, runners)
        assert "hush" not in str(error.value)


def test_deprecated_and_unreleased_keys_warn() -> None:
    assert check(machine={"OffPeakTimezone": "UTC"}).warnings[-1].startswith("runners[one].machine.OffPeakTimezone is")
    assert check(kubernetes={"suspend_pvc_size": "1Gi"}).warnings == [
        "runners[one].kubernetes.suspend_pvc_size is not in GitLab Runner 19.3 yet."
    ]


@pytest.mark.parametrize(
    ("duration", "length"),
    [
        ("0", 0),
        ("0s", 0),
        ("1h30m", 5400 * 10**9),
        ("1.5h", 5400 * 10**9),
        (".5s", 500_000_000),
        ("-1m", -60 * 10**9),
        ("1m0.25s", 60_250_000_000),
        ("3µs", 3000),
        (7, 7),
        ("1 h", None),
        ("1d", None),
        ("", None),
        (".", None),
        (True, None),
        (datetime.timedelta(1), None),
    ],
)
def test_durations_are_read_as_go_reads_them(duration: Any, length: int | None) -> None:
    assert nanoseconds(duration) == length
