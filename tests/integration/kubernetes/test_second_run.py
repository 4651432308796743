# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on a cluster that is as wanted: nothing changes, and it is cheap. It is that of the scenario `kubernetes`."""

from __future__ import annotations

from collections import Counter

import pytest
from cluster.made import Cluster
from integration.kubernetes.api import NAMESPACES, RBAC, Api
from integration.kubernetes.audit import Audit
from integration.scenarios import only_in
from lab.fleet import Play, run_playbook
from lab.host import ROOT

HOST, NAMESPACE = "k3s", "pifleet-scenario"
RUNNERS = 2
OBJECTS = ("deployments", "networkpolicies", "rolebindings", "roles", "serviceaccounts", "configmaps",
           "persistentvolumeclaims", "namespaces")  # fmt: skip
"""Of the role, each of which it reads once: with a process of its own, because a module looks at one kind."""
MOST_TASKS = 14

pytestmark = only_in("kubernetes")


def state(api: Api) -> dict[str, str]:
    """The versions of the namespace and of all that the role makes in it, by uid, and of the pods."""
    paths = [f"{NAMESPACES}/{NAMESPACE}/{kind}" for kind in ("secrets", "configmaps", "serviceaccounts", "pods")]
    paths += [f"{RBAC}/namespaces/{NAMESPACE}/{kind}" for kind in ("roles", "rolebindings")]
    paths.append(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments")
    paths.append(f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies")
    objects = [api.get(f"{NAMESPACES}/{NAMESPACE}"), *(item for path in paths for item in api.get(path)["items"])]
    return {each["metadata"]["uid"]: each["metadata"]["resourceVersion"] for each in objects}


class Run:
    """The playbook on what the scenario has made, with the state before and what it asked the API server."""

    def __init__(self, cluster: Cluster, api: Api, *arguments: str) -> None:
        self.before = state(api)
        cluster.gitlab.call("DELETE", "/journal")
        audit = Audit(cluster)
        inventories = [ROOT / "molecule" / "kubernetes" / "inventory", cluster.inventory]
        record = cluster.folder / "executions.jsonl"
        self.play: Play = run_playbook("pifleet.ci.kubernetes", inventories, record, *arguments)
        assert self.play.code == 0, self.play.output
        self.requests, self.writes = audit.requests(), audit.writes()
        self.is_audited = audit.is_there


@pytest.fixture(scope="module")
def again(cluster: Cluster, api: Api) -> Run:
    return Run(cluster, api)


def test_nothing_changes(again: Run, api: Api) -> None:
    assert again.play.recap[HOST]["changed"] == 0
    assert state(api) == again.before
    assert again.writes == []


def test_one_get_and_one_verify_per_runner(again: Run, cluster: Cluster) -> None:
    """As on a Pi."""
    expected = {"GET /api/v4/runners/:id": RUNNERS, "POST /api/v4/runners/verify": RUNNERS}
    assert cluster.gitlab.requests_of_ansible() == expected
    assert cluster.gitlab.writes() == []


def test_every_object_is_read_once(again: Run) -> None:
    """The Secret twice: registration and settings are two tasks, of which each compares and swaps."""
    if not again.is_audited:
        pytest.skip("the API server of this cluster shows no audit log")
    objects = Counter(resource for _verb, resource in again.requests if not resource.startswith("/"))
    assert objects == {"secrets": 2, **dict.fromkeys(OBJECTS, 1)}


def test_few_module_executions(again: Run) -> None:
    """All on the control node, and none but those that gather."""
    executed = [(entry["host"], entry["module"]) for entry in again.play.executions]
    assert executed == [("localhost", "kubernetes.core.k8s_info")] * len(OBJECTS)


def test_few_tasks(again: Run) -> None:
    assert again.play.recap[HOST]["ok"] + again.play.recap[HOST]["skipped"] <= MOST_TASKS


@pytest.mark.slow
def test_check_mode_sees_nothing_to_do_either(cluster: Cluster, api: Api, again: Run) -> None:
    check = Run(cluster, api, "--check", "--diff")
    assert check.play.recap[HOST]["changed"] == 0
    assert check.writes == []
