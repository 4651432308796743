# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation stubs and the actions speak of the same options."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import yaml
from ansible_collections.pifleet.ci.plugins.action import gitlab_runner_wait as wait_action
from ansible_collections.pifleet.ci.plugins.modules import (
    gitlab_runner_register,
    gitlab_runner_register_secret,
    gitlab_runner_wait,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.difference import COMPARED_OPTIONS
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration import plan
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import (
    ARGUMENT_SPEC,
    REGISTRATION_OPTIONS,
    RUNNERS_OPTION,
    SECRET_ARGUMENT_SPEC,
)
from documentation import ASPECTS, documented_options


@pytest.mark.parametrize(
    ("stub", "specified"),
    [
        (gitlab_runner_register, ARGUMENT_SPEC),
        (gitlab_runner_register_secret, SECRET_ARGUMENT_SPEC),
        (gitlab_runner_wait, wait_action.ARGUMENT_SPEC),
    ],
)
def test_options_agree(stub: Any, specified: dict[str, Any]) -> None:
    documented = documented_options(stub)
    assert set(documented) == set(specified)
    for name, spec in specified.items():
        for aspect in ASPECTS:
            assert documented[name].get(aspect) == spec.get(aspect), (name, aspect)


def test_options_of_a_runner_agree() -> None:
    documented = documented_options(gitlab_runner_register)["runners"]["suboptions"]
    assert set(documented) == set(RUNNERS_OPTION["options"])
    for name, spec in RUNNERS_OPTION["options"].items():
        for aspect in ASPECTS:
            assert documented[name].get(aspect) == spec.get(aspect), (name, aspect)


def test_options_of_config_agree() -> None:
    documented = yaml.safe_load(gitlab_runner_register.DOCUMENTATION)["options"]["config"]["suboptions"]
    assert set(documented) == set(COMPARED_OPTIONS)
    for name, spec in COMPARED_OPTIONS.items():
        for aspect in ASPECTS:
            assert documented[name].get(aspect) == spec.get(aspect), (name, aspect)


@pytest.mark.parametrize("secret", ["api_token", "registration_token", "token"])
def test_secrets_are_marked(secret: str) -> None:
    assert REGISTRATION_OPTIONS[secret]["no_log"] is True
    assert RUNNERS_OPTION["options"][secret]["no_log"] is True


@pytest.mark.parametrize("step", plan.Step.__subclasses__())
def test_every_label_of_a_step_is_documented(step: type[plan.Step]) -> None:
    """With both values of what a label depends on."""
    names = {field.name for field in fields(step)} & {"adopted", "duplicate", "whole_runner", "expired"}
    others = {field.name: None for field in fields(step) if field.name not in names}
    for flag in (True, False):
        for label in step(**others, **dict.fromkeys(names, flag)).labels:
            assert f"C({label})" in gitlab_runner_register.RETURN
