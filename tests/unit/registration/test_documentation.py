# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation stubs and the actions speak of the same options."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.pifleet.ci.plugins.action import gitlab_runner_register as register_action
from ansible_collections.pifleet.ci.plugins.action import gitlab_runner_wait as wait_action
from ansible_collections.pifleet.ci.plugins.doc_fragments.gitlab import ModuleDocFragment
from ansible_collections.pifleet.ci.plugins.modules import gitlab_runner_register, gitlab_runner_wait
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import names
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import Announce, Create, RemoveEntries


@pytest.mark.parametrize(
    ("stub", "action"), [(gitlab_runner_register, register_action), (gitlab_runner_wait, wait_action)]
)
def test_options_agree(stub: Any, action: Any) -> None:
    shared = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    own = yaml.safe_load(stub.DOCUMENTATION)["options"]
    documented = {name: {**shared.get(name, {}), **own.get(name, {})} for name in {*shared, *own}}
    assert set(documented) == set(action.ARGUMENT_SPEC)
    for name, spec in action.ARGUMENT_SPEC.items():
        for aspect in ("type", "default", "choices", "required", "elements"):
            assert documented[name].get(aspect) == spec.get(aspect), (name, aspect)


@pytest.mark.parametrize("secret", ["api_token", "registration_token", "token"])
def test_secrets_are_marked(secret: str) -> None:
    assert register_action.ARGUMENT_SPEC[secret]["no_log"] is True


def test_every_name_of_an_action_is_documented() -> None:
    text = gitlab_runner_register.RETURN
    for name in (*names(Create()), *names(RemoveEntries(())), "settled", "manager_removed", "removed_duplicate"):
        assert f"C({name})" in text
    assert list(names(Announce())) == []
