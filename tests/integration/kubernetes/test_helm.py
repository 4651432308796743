# SPDX-License-Identifier: GPL-3.0-or-later
"""The role gitlab_runner_kubernetes with GitLab's chart, for each chart of the directory that PIFLEET_CHARTS names."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cluster.made import Cluster
from integration.kubernetes.api import NAMESPACES, Api, create_namespace, decoded, delete_namespace
from integration.kubernetes.test_role import DEPLOYMENT, NAME, NAMESPACE, PODS, SETTINGS, Operator, log, ready_pods
from lab.fleet import eventually


def charts(directory: str) -> list[Path]:
    """The archives of the newest release of GitLab's chart in the directory, and of the one before, oldest first."""
    found = {}
    for path in Path(directory).iterdir() if directory else ():
        if numbers := re.fullmatch(r"gitlab-runner-(\d+)\.(\d+)\.(\d+)\.tgz", path.name):
            found[tuple(map(int, numbers.groups()))] = path
    return [found[version] for version in sorted(found)[-2:]]


CHARTS = charts(os.environ.get("PIFLEET_CHARTS", ""))
SECRET = f"{NAMESPACES}/{NAMESPACE}/secrets/{NAME}"
OBJECTS = {
    "ServiceAccount": f"{NAMESPACES}/{NAMESPACE}/serviceaccounts/{NAME}",
    "Role": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/{NAME}",
    "Deployment": DEPLOYMENT,
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not CHARTS, reason="PIFLEET_CHARTS names no directory with archives gitlab-runner-*.tgz"),
    pytest.mark.skipif(not shutil.which("helm"), reason="there is no program helm"),
]
with_each_chart = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.stem)
with_newest_chart = pytest.mark.parametrize("chart", CHARTS[-1:], ids=lambda chart: chart.stem)


@pytest.fixture
def operator(
    tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, api: Api, chart: Path
) -> Iterator[HelmOperator]:
    if "runner" not in cluster.images:
        pytest.skip("PIFLEET_KUBE_RUNNER_IMAGE names no image of GitLab Runner that the named cluster can pull")
    yield HelmOperator(tmp_path_factory.mktemp("h"), cluster, chart)
    if api.exists(f"{NAMESPACES}/{NAMESPACE}"):
        delete_namespace(api, NAMESPACE)


class HelmOperator(Operator):
    """Says helm where it says nothing else. values: those that it gives the chart."""

    def __init__(self, directory: Path, cluster: Cluster, chart: Path) -> None:
        super().__init__(directory, cluster)
        self.chart = chart

    def run(self, *arguments: str, values: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        helm = {"chart_ref": str(self.chart), "values": values or {}}
        given = {"gitlab_runner_kubernetes_method": "helm", "gitlab_runner_kubernetes_helm": helm, **changes}
        return super().run(*arguments, **given)

    def runners(self, config: dict[str, Any]) -> list[dict[str, Any]]:
        """The runner of Operator with these settings besides."""
        (runner,) = self._variables["gitlab_runner_runners"]
        return [{**runner, "config": {**runner["config"], **config}}]

    def refused(self, *arguments: str, **changes: Any) -> str:
        """What a run that fails says."""
        with pytest.raises(AssertionError) as failure:
            self.run(*arguments, **changes)
        return " ".join(str(failure.value).replace("\\n", " ").split())


def releases(api: Api) -> list[dict[str, Any]]:
    """The revisions of the release, from their Secrets: the whole of what Helm keeps in the cluster."""
    found = api.get(f"{NAMESPACES}/{NAMESPACE}/secrets?labelSelector=owner%3Dhelm")["items"]
    return [json.loads(gzip.decompress(base64.b64decode(decoded(each)["release"]))) for each in found]


def annotations(api: Api) -> dict[str, str]:
    return dict(api.get(DEPLOYMENT)["spec"]["template"]["metadata"]["annotations"])


@with_each_chart
def test_from_a_bare_cluster_to_one(cluster: Cluster, api: Api, operator: HelmOperator, chart: Path) -> None:
    foretold = operator.run("--check")
    assert (foretold["actions"], operator.writes) == (["created", "entry_written"], [])
    assert not api.exists(f"{NAMESPACES}/{NAMESPACE}")

    environment = {"environment": ["PASSWORD=opensesame-0815"]}
    runners = operator.runners(environment)
    done = operator.run(gitlab_runner_runners=runners)
    runner, system_id = done["runner"]["id"], done["system_id"]
    (managed,) = [each["managers"] for each in cluster.gitlab.runners() if each["id"] == runner]
    assert [manager["system_id"] for manager in managed] == [system_id]
    (pod,) = ready_pods(api)
    assert api.get(DEPLOYMENT)["metadata"]["labels"]["chart"] == chart.stem

    # neither the token nor what is secret in the settings is in anything but the Secret
    token = decoded(api.get(SECRET))["runner-token"].decode()
    kept = json.dumps(
        [releases(api), api.get(DEPLOYMENT), api.get(f"{NAMESPACES}/{NAMESPACE}/configmaps"), log(api, pod)]
    )
    assert [secret for secret in (token, cluster.api_token, "opensesame-0815") if secret in kept] == []
    assert operator.play.leaks({"API token": cluster.api_token, "runner token": token}) == set()
    rules = api.get(OBJECTS["Role"])["rules"]
    assert [rule for rule in rules if "*" in rule["verbs"] + rule["resources"]] == []

    if "helper" in cluster.images:  # the real program, which runs jobs in pods
        script = ["test ! -e /var/run/secrets/kubernetes.io/serviceaccount/token", 'test "$PASSWORD" = opensesame-0815']
        job = cluster.gitlab.run_job(script=script, tag_list=[NAMESPACE], timeout=300)
        assert job["status"] == "success", job["trace"]

    before = cluster.gitlab.requests_of_ansible()
    again = operator.run(gitlab_runner_runners=runners)
    assert (again["changed"], operator.changed, operator.writes) == (False, False, [])
    asked = cluster.gitlab.requests_of_ansible() - before
    assert asked.pop("POST /api/v4/runners/verify") >= 1  # as the chart's probe does as well
    assert asked == {"GET /api/v4/runners/:id": 1}
    assert ready_pods(api) == [pod]

    # a changed setting of the entry, and one of the whole, roll the Deployment
    for changes in (
        {"gitlab_runner_runners": operator.runners({"environment": ["PASSWORD=another-0815"]})},
        {"gitlab_runner_runners": runners, "gitlab_runner_global": {**SETTINGS, "concurrent": 5}},
    ):
        old = ready_pods(api)
        operator.run("--check", **changes)
        assert (operator.changed, operator.writes) == (True, [])
        operator.run(**changes)
        assert len(ready_pods(api)) == 1
        assert ready_pods(api) != old
    assert len(releases(api)) == 3

    operator.run(gitlab_runner_kubernetes_state="absent")
    assert not api.exists(f"{NAMESPACES}/{NAMESPACE}")
    assert runner not in [each["id"] for each in cluster.gitlab.runners()]


@with_newest_chart
def test_a_job_survives_changes(cluster: Cluster, api: Api, operator: HelmOperator) -> None:
    """Of the settings, and of the method, with one runner and one machine all the time."""
    if "helper" not in cluster.images:
        pytest.skip("the stand-in runs no jobs in pods")
    patient = {"gitlab_runner_stop_timeout": 600}
    done = operator.run(gitlab_runner_kubernetes_method="manifests", **patient)
    identity = (done["runner"]["id"], done["system_id"])
    changes: dict[str, dict[str, Any]] = {
        "Helm": {},
        "Helm, rolled": {"gitlab_runner_runners": operator.runners({"environment": ["A=1"]})},
        "pifleet.ci": {"gitlab_runner_kubernetes_method": "manifests"},
    }
    for manager, change in changes.items():
        old = ready_pods(api)
        with ThreadPoolExecutor() as pool:
            job = pool.submit(cluster.gitlab.run_job, script=["sleep 60"], tag_list=[NAMESPACE], timeout=400)
            eventually(lambda: job_pods(api) != [], 120)
            done = operator.run(**patient, **change)
            assert job.result()["status"] == "success", (manager, job.result()["trace"])
        assert (done["runner"]["id"], done["system_id"]) == identity
        (pod,) = ready_pods(api)
        assert pod not in old
        managers = {api.get(path)["metadata"]["labels"]["app.kubernetes.io/managed-by"] for path in OBJECTS.values()}
        assert managers == {manager.split(",")[0]}
    assert releases(api) == []
    operator.run(gitlab_runner_kubernetes_method="manifests", **patient)
    assert (operator.changed, operator.writes) == (False, [])


@with_newest_chart
def test_a_lost_namespace(cluster: Cluster, api: Api, operator: HelmOperator) -> None:
    done = operator.run()
    delete_namespace(api, NAMESPACE, wait=180)
    adopted = operator.run()
    assert (adopted["runner"]["id"], adopted["system_id"]) == (done["runner"]["id"], done["system_id"])
    assert [each["id"] for each in cluster.gitlab.runners() if each["id"] >= done["runner"]["id"]] == [
        done["runner"]["id"]
    ]


@with_newest_chart
def test_a_release_that_failed(api: Api, operator: HelmOperator) -> None:
    """It is tried again, and not taken for what is wanted because it has the same values."""
    wrong = {"extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Not_A_Name"}}]}
    for _attempt in range(2):
        assert "Not_A_Name" in operator.refused(values=wrong)
    operator.run()
    assert releases(api)[-1]["info"]["status"] == "deployed"
    operator.run()
    assert (operator.changed, operator.writes) == (False, [])


@with_newest_chart
def test_a_pod_that_cannot_register(api: Api, operator: HelmOperator) -> None:
    """It is ready, and GitLab still hears of the one before it, which has the same system ID."""
    if "helper" not in operator.cluster.images:
        pytest.skip("the stand-in takes any access level")
    operator.run()
    timeout = ["-e", json.dumps({"_gitlab_runner_kubernetes_rollout_timeout": 45})]
    said = operator.refused(*timeout, values={"extraEnv": {"REGISTER_ACCESS_LEVEL": "nonsense"}})
    assert "the pod of GitLab Runner does not become ready. " in said
    assert "Given access-level is not valid" in said
    operator.run()
    assert len(ready_pods(api)) == 1


@with_newest_chart
def test_a_release_of_somebody_else(cluster: Cluster, api: Api, operator: HelmOperator, chart: Path) -> None:
    create_namespace(api, NAMESPACE)
    access = ["--kubeconfig", str(cluster.kubeconfig), "--kube-context", cluster.context, "--namespace", NAMESPACE]
    given = ["--set", "gitlabUrl=https://gitlab.example.com,rbac.create=true,replicas=0"]
    subprocess.run(["helm", "install", NAME, str(chart), *access, *given], check=True, capture_output=True)
    before, requests = releases(api), cluster.gitlab.writes()
    for method in ("helm", "manifests"):
        said = operator.refused(gitlab_runner_kubernetes_method=method)
        assert f"{NAME} of Helm in namespace {NAMESPACE} was not made by this role: uninstall it" in said
    assert cluster.gitlab.writes() == requests
    operator.run(gitlab_runner_kubernetes_state="absent")
    assert releases(api) == before


def job_pods(api: Api) -> list[str]:
    """The pods of jobs that run."""
    found = api.get(f"{PODS}?fieldSelector=status.phase%3DRunning")["items"]
    return [pod["metadata"]["name"] for pod in found if pod["metadata"]["name"].startswith("runner-")]
