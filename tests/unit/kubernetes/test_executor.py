# SPDX-License-Identifier: GPL-3.0-or-later
"""What runners ask of the executor kubernetes, and what is refused in one namespace of a cluster."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.filter.executor_problems import executor_problems
from ansible_collections.pifleet.ci.plugins.filter.privileged_runners import privileged_runners


def runner(name: str = "one", **pods: Any) -> dict[str, Any]:
    return {
        "name": name,
        "executor": "kubernetes",
        "kubernetes": {"namespace": "ci", "image": "debian:12", **pods},
    }


def problems(*runners: dict[str, Any], allowed: tuple[str, ...] = ()) -> list[str]:
    return executor_problems(runners, host="k3s", namespace="ci", secret_name="runner", allow_privileged=allowed)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({**runner(), "executor": "docker"}, "has another executor than kubernetes"),
    ({"name": "one"}, "has another executor than kubernetes"),
    (runner(host="https://10.0.0.1"), "says in its kubernetes section how to reach an API server"),
    (runner(bearer_token="secret"), "says in its kubernetes section how to reach an API server"),
    (runner(namespace="other"), "has jobs in other namespaces than ci"),
    (runner(namespace=None), "has jobs in other namespaces than ci"),
    (runner(namespace_per_job="true"), "has jobs in other namespaces than ci"),
    (runner(namespace_overwrite_allowed=".*"), "has jobs in other namespaces than ci"),
    ({**runner(), "feature_flags": {"FF_SUSPENDABLE_ENVIRONMENTS": True}}, "has jobs in other namespaces than ci"),
    (runner(autoscaler={"max_pause_pods": 1}), "has an autoscaler in its kubernetes section"),
    (runner(privileged=True), "has privileged containers, or directories of the node"),
    (runner(volumes={"secret": [{"name": "runner", "mount_path": "/a"}]}), "mounts the Secret runner, which has"),
]


@pytest.mark.parametrize(("wrong", "words"), REFUSED)
def test_one_sentence(wrong: dict[str, Any], words: str) -> None:
    (sentence,) = problems(wrong, runner("two"))
    assert sentence.startswith(f"one of k3s {words}")


def test_runners_with_the_same_problem_are_in_one_sentence() -> None:
    (sentence,) = problems(runner("a", autoscaler={"b": 1}), runner("b", autoscaler={"b": 1}))
    assert sentence.startswith("a, b of k3s has an autoscaler")


PRIVILEGED: list[dict[str, Any]] = [
    {"privileged": True},
    {"privileged": "True"},
    {"volumes": {"host_path": [{"name": "a", "mount_path": "/a"}]}},
    *({f"{container}_container_security_context": {"privileged": True}} for container in ("build", "service")),
]


@pytest.mark.parametrize("pods", PRIVILEGED)
def test_who_is_privileged_has_to_be_allowed(pods: dict[str, Any]) -> None:
    assert privileged_runners([runner("plain"), runner(**pods)]) == ["one"]
    assert len(problems(runner(**pods))) == 1
    assert problems(runner(**pods), allowed=("one",)) == []


FINE: list[dict[str, Any]] = [
    runner(),
    runner(privileged=False, host="", autoscaler=None, namespace_per_job=False),
    runner(volumes={"secret": [{"name": "another", "mount_path": "/a"}], "host_path": []}),
    {**runner(), "feature_flags": {"FF_SUSPENDABLE_ENVIRONMENTS": False}},
    runner(volumes="of another type", build_container_security_context=None),  # said by the checks of types
    runner(volumes={"secret": ["of another type"]}),
]


@pytest.mark.parametrize("each", FINE)
def test_what_is_no_problem(each: dict[str, Any]) -> None:
    assert (problems(each), privileged_runners([each])) == ([], [])
