# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter executor_rules: what the executor kubernetes may do, by the features that are in use."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.filter.executor_rules import executor_rules

STREAM = ["create", "get"]
PLAIN: dict[str, list[str]] = {
    "pods": ["create", "delete", "get", "list", "watch"],
    "pods/exec": STREAM,
    "pods/attach": STREAM,
    "secrets": ["create", "delete", "get", "update"],
    "events": ["list"],
}


def allowed(*runners: dict[str, Any], **options: Any) -> dict[str, list[str]]:
    rules = executor_rules(list(runners), **options)
    assert [rule["apiGroups"] for rule in rules if "disruption" not in rule["resources"][0]] == [[""]] * (
        len(rules) - sum("disruption" in rule["resources"][0] for rule in rules)
    )
    return {rule["resources"][0]: rule["verbs"] for rule in rules}


def test_a_runner_without_special_features() -> None:
    assert allowed({"executor": "kubernetes"}) == PLAIN
    assert allowed({"kubernetes": None, "feature_flags": None}) == PLAIN


FEATURES: list[tuple[dict[str, Any], dict[str, list[str] | None]]] = [
    ({"feature_flags": {"FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY": True}}, {"pods/attach": None}),
    ({"kubernetes": {"print_pod_warning_events": False}}, {"events": None}),
    ({"feature_flags": {"FF_PRINT_POD_EVENTS": True}}, {"events": ["list", "watch"]}),
    ({"feature_flags": {"FF_PRINT_POD_EVENTS": False}}, {}),
    ({"feature_flags": {"FF_KUBERNETES_HONOR_ENTRYPOINT": True}}, {"pods/log": ["get", "list"]}),
    ({"feature_flags": {"FF_WAIT_FOR_POD_TO_BE_REACHABLE": True}}, {"pods/log": ["get"]}),
    ({"kubernetes": {"service_account": "builder"}}, {"serviceaccounts": ["get"]}),
    ({"kubernetes": {"service_account": ""}}, {}),
    ({"kubernetes": {"pod_disruption_budget": True}}, {"poddisruptionbudgets": ["create", "get"]}),
]


@pytest.mark.parametrize(("runner", "change"), FEATURES, ids=[str(runner) for runner, _change in FEATURES])
def test_a_feature(runner: dict[str, Any], change: dict[str, list[str] | None]) -> None:
    expected = {name: verbs for name, verbs in {**PLAIN, **change}.items() if verbs}
    assert allowed(runner) == expected


def test_what_one_of_several_runners_needs() -> None:
    legacy = {"feature_flags": {"FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY": True}}
    assert allowed(legacy, {}) == PLAIN


def test_terminals_reach_ports() -> None:
    assert allowed({}, terminals=True) == {**PLAIN, "services": ["create", "get"]}


def test_the_group_of_budgets() -> None:
    rules = executor_rules([{"kubernetes": {"pod_disruption_budget": True}}])
    assert [rule["apiGroups"] for rule in rules if rule["resources"] == ["poddisruptionbudgets"]] == [["policy"]]
