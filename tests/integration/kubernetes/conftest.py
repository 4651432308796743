# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster that PIFLEET_CLUSTER names (`python -m cluster up NAME`), and a namespace in it for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest
from cluster.made import Cluster, load
from integration.kubernetes.api import Api, create_namespace, delete_namespace, read_kubeconfig

NAME = os.environ.get("PIFLEET_CLUSTER", "kubernetes")


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return load(NAME)


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Api:
    """The API server as its administrator sees it."""
    return Api(read_kubeconfig(cluster.kubeconfig), cluster.context)


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """An empty namespace."""
    name = f"pifleet-{secrets.token_hex(4)}"
    create_namespace(api, name)
    yield name
    if api.exists(f"/api/v1/namespaces/{name}"):
        delete_namespace(api, name, wait=0)
