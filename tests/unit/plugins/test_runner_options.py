# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_runners and gitlab_runner_defaults, as config.toml and GitLab get them."""

from __future__ import annotations

from ansible_collections.pifleet.ci.plugins.filter.runner_entries import runner_entries
from ansible_collections.pifleet.ci.plugins.filter.runner_registrations import runner_registrations

COMMON = {"url": "https://gitlab.example.com", "api_token": "api", "registration_token": "", "tag_list": ["arm64"]}


def test_a_runner_has_the_settings_of_all_below_its_own() -> None:
    defaults = {"config": {"executor": "docker", "limit": 1, "docker": {"image": "debian", "volumes": ["/cache"]}}}
    runner = {"name": "pi", "config": {"limit": 2, "docker": {"volumes": ["/builds"]}}}
    assert runner_entries([runner], defaults) == [
        {"name": "pi", "executor": "docker", "limit": 2, "docker": {"image": "debian", "volumes": ["/builds"]}}
    ]
    assert defaults["config"]["docker"] == {"image": "debian", "volumes": ["/cache"]}


def test_an_entry_has_the_name_of_its_runner_whatever_its_settings_say() -> None:
    runners = [{"name": "b"}, {"name": "a", "config": {"name": "other", "limit": 3}}]
    assert runner_entries(runners) == [{"name": "b"}, {"name": "a", "limit": 3}]
    assert runner_entries([{"config": {"limit": 3}}], {}) == [{"limit": 3}]


def test_lists_and_dictionaries_of_the_runner_replace_those_of_all_in_gitlab() -> None:
    assert runner_registrations([{"name": "pi", "gitlab": {"tag_list": ["gpio"]}}, {"name": "other"}], COMMON) == [
        {**COMMON, "name": "pi", "tag_list": ["gpio"]},
        {**COMMON, "name": "other"},
    ]


def test_a_runner_with_a_token_of_its_own_is_registered_with_no_other() -> None:
    own = {"name": "pi", "token": "glrt-1"}
    empty = {"name": "pi", "token": ""}
    assert runner_registrations([own, empty], COMMON) == [
        {**COMMON, "name": "pi", "token": "glrt-1", "api_token": "", "registration_token": ""},
        {**COMMON, "name": "pi", "token": ""},
    ]
