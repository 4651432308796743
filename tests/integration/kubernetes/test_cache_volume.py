# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_kubernetes_cache_volume with a real volume: the next job finds what a job has left in its cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster.made import Cluster
from integration.kubernetes.api import NAMESPACES, Api, decoded, delete_namespace
from integration.kubernetes.inventory_host import InventoryHost
from lab.fleet import eventually

STORAGE_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
STORAGE_CLASS = "pifleet-test"
TAG = "with-a-cache"
CACHE = {"key": "tools", "paths": ["tools/"], "policy": "pull-push", "when": "on_success"}
RUNNERS = [{"name": "cached", "gitlab": {"tag_list": [TAG]}}]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def volume(cluster: Cluster, api: Api) -> Iterator[dict[str, str]]:
    """What the variable is set to. The cluster that is built here provides directories of its node."""
    if cluster.kind != "own":
        yield {"size": "64Mi"}
        return
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "kubernetes.io/host-path"}
    api.create(STORAGE_CLASSES, {**kind, "metadata": {"name": STORAGE_CLASS}})
    yield {"size": "64Mi", "storage_class": STORAGE_CLASS}
    api.delete(f"{STORAGE_CLASSES}/{STORAGE_CLASS}")


@pytest.fixture
def host(cluster: Cluster, api: Api, tmp_path: Path) -> Iterator[InventoryHost]:
    if "runner" not in cluster.images:
        pytest.skip("PIFLEET_KUBE_RUNNER_IMAGE names no image of GitLab Runner that the named cluster can pull")
    host = InventoryHost(cluster, tmp_path, "cached")
    yield host
    if api.exists(f"{NAMESPACES}/{host.namespace}"):
        delete_namespace(api, host.namespace)


def run_job(cluster: Cluster, *script: str) -> str:
    """The trace of a job that keeps its directory `tools` in the cache, and succeeds."""
    job: dict[str, Any] = cluster.gitlab.run_job(300, script=script, tag_list=[TAG], cache=[CACHE])
    assert job["status"] == "success", job["trace"]
    return str(job["trace"])


def test_jobs_share_the_volume(cluster: Cluster, api: Api, host: InventoryHost, volume: dict[str, str]) -> None:
    settings = {"gitlab_runner_runners": RUNNERS, "gitlab_runner_kubernetes_cache_volume": volume}
    claim = f"{NAMESPACES}/{host.namespace}/persistentvolumeclaims/gitlab-runner-cache"
    host.play(**settings)
    if "helper" in cluster.images:  # the real program, which runs jobs in pods
        run_job(cluster, "test ! -e tools", "mkdir tools", "echo compiled > tools/compiler")
        run_job(cluster, 'test "$(cat tools/compiler)" = compiled')
    # The storage classes of kind and k3s make a volume for the first pod that mounts it: that of a job.
    phase = "Bound" if "helper" in cluster.images or cluster.kind == "own" else "Pending"
    eventually(lambda: api.get(claim)["status"]["phase"] == phase)
    bound = api.get(claim)["spec"].get("volumeName")
    assert (bound is not None) == (phase == "Bound")
    assert host.changed(host.play(**settings)) == 0
    assert api.get(claim)["spec"].get("volumeName") == bound

    # taken out again, with all that jobs have left there; the jobs go on without it
    host.play(gitlab_runner_runners=RUNNERS)
    config = decoded(api.get(f"{NAMESPACES}/{host.namespace}/secrets/gitlab-runner"))["config.toml"]
    assert b"gitlab-runner-cache" not in config
    eventually(lambda: not api.exists(claim))
    eventually(lambda: not api.exists(f"/api/v1/persistentvolumes/{bound}"))
    if "helper" in cluster.images:
        run_job(cluster, "test ! -e tools")


def test_removal_takes_the_volume(cluster: Cluster, api: Api, host: InventoryHost, volume: dict[str, str]) -> None:
    settings = {"gitlab_runner_runners": RUNNERS, "gitlab_runner_kubernetes_cache_volume": volume}
    host.play(**settings)
    claim = f"{NAMESPACES}/{host.namespace}/persistentvolumeclaims/gitlab-runner-cache"
    if volume.get("storage_class") == STORAGE_CLASS:  # others may wait for a pod
        eventually(lambda: api.get(claim)["status"]["phase"] == "Bound")
    bound = api.get(claim)["spec"].get("volumeName")
    host.play(**settings, gitlab_runner_kubernetes_state="absent")
    assert not api.exists(f"{NAMESPACES}/{host.namespace}")
    if bound:
        eventually(lambda: not api.exists(f"/api/v1/persistentvolumes/{bound}"))
    assert [each for each in cluster.gitlab.runners() if TAG in each["tag_list"]] == []
