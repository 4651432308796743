# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that cannot be meant are refused before any request, one sentence each."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import RunnerScope
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    AuthMethod,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import (
    OptionsError,
    desired_runner,
    options_of_runners,
    without_effect,
)

GOOD: dict[str, Any] = {
    "name": "docker",
    "url": "https://gitlab.example.com/",
    "api_token": "glpat-secret",
    "runner_type": "project_type",
    "project_id": 42,
}


def test_a_plain_runner() -> None:
    desired = desired_runner(GOOD, "pi-01")
    assert (desired.key, desired.url, desired.auth_method) == (
        "default/pi-01/docker",
        "https://gitlab.example.com",
        AuthMethod.API,
    )
    assert (desired.scope, desired.description) == (RunnerScope("project_type", 42), "pi-01 docker")
    assert desired.attributes == {}
    assert "secret" not in repr(desired)


def test_only_given_attributes_are_managed() -> None:
    desired = desired_runner({**GOOD, "paused": False, "tag_list": ["b", "a"], "maximum_timeout": None}, "pi-01")
    assert desired.attributes == {"paused": False, "tag_list": ["b", "a"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": None}, "url is missing"),
        ({"url": "gitlab.example.com"}, "url is missing or not"),
        ({"url": "https://u:p@gitlab.example.com"}, "no user"),
        ({"url": "https://gitlab.example.com/api/v4"}, "without /api/v4"),
        ({"url": "https://gitlab.example.com/?"}, "no query"),
        ({"url": "https://gitlab.example.com/gitlab#"}, "no query"),
        ({"url": " https://gitlab.example.com"}, "url is missing or not"),
        ({"url": "https://gitlab.example.com\n"}, "url is missing or not"),
        ({"url": "https://gitlab.example.com/gitlab "}, "url is missing or not"),
        ({"timeout": 0.0}, "timeout is 0.0 s; give more than 0"),
        ({"timeout": float("nan")}, "timeout is nan s; give more than 0"),
        ({"api_token": None}, "no credential; set one of api_token"),
        ({"api_token": ""}, "no credential"),
        ({"token": "glrt-x"}, "api_token and token are both set"),
        ({"registration_token": "GR1"}, "api_token and registration_token are both set"),
        ({"api_token": None, "registration_token": "glrt-x"}, "give it as token"),
        ({"api_token": "glpat-x\n"}, "is there a line end in the vault?"),
        ({"name": None}, "name is missing"),
        ({"name": "a/b"}, "slash"),
        ({"fleet": " x"}, "blanks"),
        ({"name": "a\nb"}, "control character"),
        ({"runner_type": None}, "runner_type is missing"),
        ({"project_id": None}, "project_id is missing"),
        ({"project_id": 0}, "1 or more"),
        ({"group_id": 7}, "group_id makes no sense"),
        ({"runner_type": "group_type"}, "group_id is missing"),
        ({"runner_type": "instance_type"}, "project_id makes no sense"),
        ({"tag_list": [], "run_untagged": False}, "takes no job"),
        ({"tag_list": ["a,b"]}, "has a comma"),
        ({"tag_list": ["a "]}, "blanks at its ends"),
        ({"tag_list": ["x" * 256]}, "longer than 255"),
        ({"tag_list": ['"rpi"']}, "begins with a quote"),
        ({"tag_list": ["'rpi", "arm64'"]}, "begins with a quote"),
        ({"tag_list": [f"t{number}" for number in range(51)]}, "51 tags; GitLab takes 50"),
        ({"maximum_timeout": 599}, "maximum_timeout is 599 s"),
        ({"maximum_timeout": -1}, "maximum_timeout is -1 s"),
        ({"description": "x" * 1025}, "description is longer than 1024"),
        ({"maintenance_note": "x" * 1000}, "may have 991 characters here"),
        ({"maintenance_note": "a\npifleet.ci: b"}, "is written by this collection"),
    ],
)
def test_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError) as caught:
        desired_runner({**GOOD, **changes}, "pi-01")
    assert words in str(caught.value)
    assert str(caught.value).startswith('Runner "')
    assert "pi-01" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"tag_list": [], "run_untagged": True},
        {"maximum_timeout": 600},
        {"maximum_timeout": 0},
        {"maintenance_note": "x" * 991},
        {"tag_list": ["ä b", "5'", 'rpi "new"']},
        {"url": "http://10.0.0.1:8080/gitlab"},
        {"url": "https://[fd00::1]:8443/gitlab/"},
        {"timeout": 0.5},
    ],
)
def test_taken(changes: dict[str, Any]) -> None:
    desired_runner({**GOOD, **changes}, "pi-01")


def test_a_name_is_given_to_one_runner() -> None:
    """The entry's name is one per file: two runners would take it from each other in every run."""
    runners = [{"name": "docker"}, {"name": "shell"}, {"name": "docker", "fleet": "other"}]
    with pytest.raises(OptionsError, match='pi-01: runners has the name "docker" more than once'):
        options_of_runners({**GOOD, "name": None, "runners": runners}, "pi-01")


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(OptionsError) as caught:
        desired_runner({}, "pi-01")
    for words in ("no credential", "name is missing", "url is missing"):
        assert words in str(caught.value)


def test_options_without_effect() -> None:
    assert without_effect({**GOOD, "paused": True}) == []
    assert without_effect({"registration_token": "GR1", "group_id": 7, "tag_list": ["a"]}) == ["group_id"]
    assert without_effect({"token": "glrt-x", "group_id": 7, "tag_list": ["a"]}) == ["group_id", "tag_list"]
