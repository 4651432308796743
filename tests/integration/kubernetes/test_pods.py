# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Secret is for: pods run with it as the one machine that GitLab knows, and do jobs."""

from __future__ import annotations

from typing import Any

import pytest
from cluster.made import Cluster
from integration.kubernetes import pods
from integration.kubernetes.api import NAMESPACES, Api, decoded, encoded, read_kubeconfig
from integration.kubernetes.operator import Operator
from lab.fleet import eventually
from lab.services import PROJECT_ID
from registration_cluster import NAME

TAG = "in-a-pod"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def operator(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, namespace: str) -> Operator:
    if "runner" not in cluster.images:
        pytest.skip("PIFLEET_KUBE_RUNNER_IMAGE names no image of GitLab Runner that the named cluster can pull")
    options = {
        "url": cluster.gitlab_url,
        "ca_path": str(cluster.ca_file),
        "name": "kubernetes",
        "runner_type": "project_type",
        "project_id": PROJECT_ID,
        "tag_list": [TAG, namespace],
    }
    kubeconfig = read_kubeconfig(cluster.kubeconfig)
    directory = tmp_path_factory.mktemp("p")
    return Operator(directory, namespace, kubeconfig, cluster.context, cluster.api_token, options)


def configure(api: Api, namespace: str, settings: str, tables: str = "") -> None:
    """Somebody writes settings and tables into the entry of the Secret's config.toml."""
    path = f"{NAMESPACES}/{namespace}/secrets/{NAME}"
    content = decoded(api.get(path))["config.toml"].decode()
    assert content.count("[[runners]]\n") == 1
    changed = content.replace("[[runners]]\n", f"[[runners]]\n{settings}") + tables
    api.patch(path, {"data": encoded({"config.toml": changed.encode()})})


def managers(cluster: Cluster, runner: int) -> dict[str, Any]:
    """The machines that run a runner, by system ID."""
    found = [each for each in cluster.gitlab.runners() if each["id"] == runner]
    return {manager["system_id"]: manager for manager in found[0]["managers"]} if found else {}


def wait_until_online(cluster: Cluster, api: Api, namespace: str, runner: int, system_id: str) -> None:
    pods.wait_until_ready(api, namespace)
    try:
        eventually(lambda: managers(cluster, runner).get(system_id, {}).get("status") == "online", 60)
    except Exception as error:
        raise AssertionError(pods.log(api, namespace)) from error


def test_a_pod_runs_as_the_machine_of_the_secret(
    cluster: Cluster, api: Api, namespace: str, operator: Operator
) -> None:
    """Through a reset of its token and a restart, until it is removed from GitLab and the cluster."""
    done = operator.register()
    runner, system_id = done["runner"]["id"], done["system_id"]
    configure(api, namespace, 'executor = "shell"\n')
    assert operator.register()["actions"] == []
    pods.create_runner(api, cluster, namespace)
    wait_until_online(cluster, api, namespace, runner, system_id)
    assert managers(cluster, runner).keys() == {system_id}
    job = cluster.gitlab.run_job(script=["echo hello from $(hostname)"], tag_list=[namespace], timeout=120)
    assert job["status"] == "success", job["trace"]
    assert f"hello from {pods.RUNNER}-" in job["trace"]

    # a token that leaked is reset; the pods have to start again for the new one
    cluster.gitlab.call("POST", f"/runners/{runner}/reset_token")
    assert operator.register()["actions"] == ["token_reset", "entry_written"]
    pods.restart(api, namespace, "once more")
    job = cluster.gitlab.run_job(script=["true"], tag_list=[namespace], timeout=180)
    assert job["status"] == "success", job["trace"]
    assert managers(cluster, runner).keys() == {system_id}

    assert operator.register(state="absent")["actions"] == ["deleted", "entry_removed"]
    assert runner not in [each["id"] for each in cluster.gitlab.runners()]
    assert not api.exists(f"{NAMESPACES}/{namespace}/secrets/{NAME}")


def test_a_job_runs_in_a_pod_of_its_own(cluster: Cluster, api: Api, namespace: str, operator: Operator) -> None:
    """With the real GitLab Runner and its executor kubernetes."""
    if "helper" not in cluster.images:
        pytest.skip("there was no real gitlab-runner with its gitlab-runner-helper on PATH when the cluster was made")
    done = operator.register()
    executor = f"""
[runners.kubernetes]
namespace = "{namespace}"
image = "{cluster.images["job"]}"
helper_image = "{cluster.images["helper"]}"
pull_policy = ["if-not-present"]
"""
    configure(api, namespace, 'executor = "kubernetes"\n', executor)
    pods.create_runner(api, cluster, namespace)
    wait_until_online(cluster, api, namespace, done["runner"]["id"], done["system_id"])
    job = cluster.gitlab.run_job(script=["echo hello from $(hostname)"], tag_list=[namespace], timeout=300)
    assert job["status"] == "success", f"{job['trace']}\n{pods.log(api, namespace)}"
    assert "hello from runner-" in job["trace"]
    eventually(lambda: all(name.startswith(f"{pods.RUNNER}-") for name in pods.names(api, namespace)), 60)
    assert operator.register()["actions"] == []
