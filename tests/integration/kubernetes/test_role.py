# SPDX-License-Identifier: GPL-3.0-or-later
"""The role gitlab_runner_kubernetes from a bare cluster to one that has nothing of it any more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster.made import Cluster
from integration.kubernetes.api import NAMESPACES, Api, create_namespace, decoded, delete_namespace
from integration.kubernetes.audit import Audit
from lab.fleet import eventually
from lab.services import PROJECT_ID
from plays.cores import PLAYBOOKS
from plays.watched_play import WatchedPlay

NAMESPACE, NAME = "role-under-test", "gitlab-runner"
HOST = "k3s"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"
PODS = f"{NAMESPACES}/{NAMESPACE}/pods"
REGISTER, CONFIGURE = (f"pifleet.ci.{name}" for name in ("gitlab_runner_register_secret", "runner_config_secret"))
SETTINGS: dict[str, Any] = {"concurrent": 2, "check_interval": 1}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


class Operator:
    """Plays the role for a host k3s."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        self.play, self.cluster = WatchedPlay(PLAYBOOKS[0], directory), cluster
        token = self.play.directory / "api_token"
        token.touch(mode=0o600)
        token.write_text(cluster.api_token)
        helper = {"helper_image": cluster.images["helper"]} if "helper" in cluster.images else {}
        pods = {"image": cluster.images.get("job", "busybox"), "pull_policy": ["if-not-present"], **helper}
        self._variables: dict[str, Any] = {
            "gitlab_runner_url": cluster.gitlab_url,
            "gitlab_runner_ca_file": str(cluster.ca_file),
            "gitlab_runner_api_token": f"{{{{ lookup('ansible.builtin.file', '{token}') }}}}",
            "gitlab_runner_image": cluster.images["runner"],
            "gitlab_runner_stop_timeout": 60,
            "gitlab_runner_global": SETTINGS,
            "gitlab_runner_runners": [
                {
                    "name": "kubernetes",
                    "gitlab": {"runner_type": "project_type", "project_id": PROJECT_ID, "tag_list": [NAMESPACE]},
                    "config": {"kubernetes": pods},
                }
            ],
            "gitlab_runner_kubernetes_kubeconfig": str(cluster.kubeconfig),
            "gitlab_runner_kubernetes_context": cluster.context,
            "gitlab_runner_kubernetes_namespace": NAMESPACE,
        }
        self.writes: list[tuple[str, str]] = []
        self.changed = False

    def run(self, *arguments: str, **changes: Any) -> dict[str, Any]:
        """Play the role and return what registration told callbacks."""
        audit = Audit(self.cluster)
        role = {"ansible.builtin.include_role": {"name": "pifleet.ci.gitlab_runner_kubernetes"}}
        plays = [{"hosts": "all", "vars": {**self._variables, **changes}, "tasks": [role]}]
        done = self.play.run_plays(plays, "--diff", *arguments, hosts=[HOST], verbosity="-vvv", timeout=600)
        assert "failed=0" in done.stdout, done.stdout[-6000:] + done.stderr[-2000:]
        self.changed = "changed=0" not in done.stdout
        self.writes = audit.writes()
        return self.play.results(REGISTER)[HOST][-1]


@pytest.fixture
def operator(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, api: Api) -> Iterator[Operator]:
    if "runner" not in cluster.images:
        pytest.skip("PIFLEET_KUBE_RUNNER_IMAGE names no image of GitLab Runner that the named cluster can pull")
    yield Operator(tmp_path_factory.mktemp("r"), cluster)
    if api.exists(f"{NAMESPACES}/{NAMESPACE}"):
        delete_namespace(api, NAMESPACE)


def ready_pods(api: Api) -> list[str]:
    """The pods of GitLab Runner that nobody has asked to end."""
    selector = f"app.kubernetes.io/instance={NAME}"
    found = api.get(f"{PODS}?labelSelector={selector}")["items"]
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def log(api: Api, pod: str) -> str:
    return str(api.request("GET", f"{PODS}/{pod}/log").body)


def test_from_a_bare_cluster_to_one(cluster: Cluster, api: Api, operator: Operator) -> None:
    foretold = operator.run("--check")
    assert (foretold["actions"], operator.writes) == (["created", "entry_written"], [])
    assert not api.exists(f"{NAMESPACES}/{NAMESPACE}")

    done = operator.run()
    runner, system_id = done["runner"]["id"], done["system_id"]
    assert done["actions"] == foretold["actions"]
    (managed,) = [each["managers"] for each in cluster.gitlab.runners() if each["id"] == runner]
    assert [manager["system_id"] for manager in managed] == [system_id]
    level = api.get(f"{NAMESPACES}/{NAMESPACE}")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert level == "baseline"
    (pod,) = ready_pods(api)

    token = decoded(api.get(f"{NAMESPACES}/{NAMESPACE}/secrets/{NAME}"))["runner-token"].decode()
    assert token not in json.dumps(api.get(DEPLOYMENT)) + json.dumps(api.get(f"{NAMESPACES}/{NAMESPACE}/configmaps"))
    assert operator.play.leaks({"API token": cluster.api_token, "runner token": token}) == set()

    if "helper" in cluster.images:  # the real program, which runs jobs in pods
        script = ["test ! -e /var/run/secrets/kubernetes.io/serviceaccount/token", "echo from $(hostname)"]
        job = cluster.gitlab.run_job(script=script, tag_list=[NAMESPACE], timeout=300)
        assert job["status"] == "success", job["trace"]
        assert "from runner-" in job["trace"]

    again = operator.run()
    assert (again["changed"], operator.changed, operator.writes) == (False, False, [])

    # what GitLab Runner reloads comes through the Secret
    assert "max_builds=5" not in log(api, pod)
    before = log(api, pod).count("Configuration loaded")
    operator.run(gitlab_runner_global={**SETTINGS, "concurrent": 5})
    assert operator.writes in ([], [("patch", "secrets")])
    assert ready_pods(api) == [pod]
    eventually(lambda: log(api, pod).count("Configuration loaded") > before, 180)

    # what it reads at its start needs another pod, which is there before the other one ends
    terminals = {**SETTINGS, "session_server": {"listen_address": "[::]:8093", "advertise_address": "192.0.2.1:8093"}}
    operator.run(gitlab_runner_global=terminals)
    assert len(ready_pods(api)) == 1
    assert ready_pods(api) != [pod]
    assert api.get(DEPLOYMENT)["status"]["availableReplicas"] == 1

    # the same runner in a namespace that was lost
    delete_namespace(api, NAMESPACE, wait=180)
    adopted = operator.run(gitlab_runner_global=terminals)
    assert (adopted["runner"]["id"], adopted["system_id"]) == (runner, system_id)
    assert [each["id"] for each in cluster.gitlab.runners() if each["id"] >= runner] == [runner]


def test_removal_takes_what_is_ours(cluster: Cluster, api: Api, operator: Operator) -> None:
    runner = operator.run()["runner"]["id"]
    note = {"metadata": {"name": "note"}, "data": {"of": "somebody else"}}
    api.create(f"{NAMESPACES}/{NAMESPACE}/configmaps", note)

    operator.run(gitlab_runner_kubernetes_state="absent")
    assert runner not in [each["id"] for each in cluster.gitlab.runners()]
    maps = api.get(f"{NAMESPACES}/{NAMESPACE}/configmaps")["items"]
    assert {each["metadata"]["name"] for each in maps} == {"note", "kube-root-ca.crt"}
    for path in (
        DEPLOYMENT,
        f"{NAMESPACES}/{NAMESPACE}/secrets/{NAME}",
        f"{NAMESPACES}/{NAMESPACE}/serviceaccounts/{NAME}",
    ):
        assert not api.exists(path), path

    api.delete(f"{NAMESPACES}/{NAMESPACE}/configmaps/note")
    operator.run(gitlab_runner_kubernetes_state="absent")
    assert not api.exists(f"{NAMESPACES}/{NAMESPACE}")


def test_a_namespace_of_somebody_else(api: Api, operator: Operator) -> None:
    """It is used as it is, and stays."""
    create_namespace(api, NAMESPACE)
    operator.run()
    assert "pod-security.kubernetes.io/enforce" not in api.get(f"{NAMESPACES}/{NAMESPACE}")["metadata"]["labels"]
    operator.run(gitlab_runner_kubernetes_state="absent")
    assert api.exists(f"{NAMESPACES}/{NAMESPACE}")
