# SPDX-License-Identifier: GPL-3.0-or-later
"""After kubernetes.yml in check mode in a bare cluster: nothing changed there or in GitLab."""

from __future__ import annotations

import os

import pytest
from cluster.made import Cluster, load
from integration.kubernetes.api import NAMESPACES, Api, read_kubeconfig
from integration.kubernetes.audit import Audit

NAMESPACE = "pifleet-scenario"


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return load(os.environ["PIFLEET_CLUSTER"])


def test_the_cluster_is_bare(cluster: Cluster) -> None:
    assert not Api(read_kubeconfig(cluster.kubeconfig), cluster.context).exists(f"{NAMESPACES}/{NAMESPACE}")


def test_no_write_request_was_sent(cluster: Cluster) -> None:
    assert Audit(cluster, from_the_beginning=True).writes() == []
    assert (cluster.gitlab.writes(), cluster.gitlab.runners()) == ([], [])


def test_both_were_asked_at_all(cluster: Cluster) -> None:
    # Else the test above would pass for a play that never came so far.
    audit = Audit(cluster, from_the_beginning=True)
    assert not audit.is_there or ("get", "deployments") in audit.requests()
    assert any(request.startswith("GET ") for request in cluster.gitlab.requests_of_ansible())
