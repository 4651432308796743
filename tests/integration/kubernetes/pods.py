# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab Runner in pods: what a Deployment of it takes at least, for tests of the Secret and of what is made of it."""

from __future__ import annotations

from typing import Any

from cluster.made import Cluster
from integration.kubernetes.api import NAMESPACES, Api, service_account
from lab.fleet import eventually
from registration_cluster import NAME

RUNNER = "gitlab-runner"
CONFIG_DIRECTORY = "/etc/gitlab-runner"
SECONDS = 180
"""For a pod to be Ready, on a machine with other things to do."""


EXECUTOR_RULES = [
    # What the kubernetes executor needs for a job without services that run elsewhere:
    # https://docs.gitlab.com/runner/executors/kubernetes/#configure-runner-api-permissions
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "delete", "get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/attach", "pods/exec"], "verbs": ["create", "get", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["create", "delete", "get", "update"]},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]},
]


def create_runner(api: Api, cluster: Cluster, namespace: str, replicas: int = 1) -> None:
    """Run GitLab Runner with the Secret of the namespace as its directory, and the fake GitLab's authority in it."""
    authority = {"metadata": {"name": "authority"}, "data": {"ca.crt": cluster.ca_file.read_text()}}
    api.create(f"{NAMESPACES}/{namespace}/configmaps", authority)
    service_account(api, namespace, RUNNER, EXECUTOR_RULES)
    api.create(_deployments(namespace), deployment(cluster.images["runner"], replicas))


def deployment(image: str, replicas: int) -> dict[str, Any]:
    labels = {"app": RUNNER}
    container = {
        "name": RUNNER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        # as root, whose directory config.toml is in
        "args": ["run", f"--config={CONFIG_DIRECTORY}/config.toml", "--working-directory=/tmp"],
        "volumeMounts": [{"name": "config", "mountPath": CONFIG_DIRECTORY, "readOnly": True}],
        "readinessProbe": {"exec": {"command": ["gitlab-runner", "--version"]}, "timeoutSeconds": 30},
    }
    sources = [
        {"secret": {"name": NAME, "items": [_item("config.toml"), _item(".runner_system_id")]}},
        {"configMap": {"name": "authority", "items": [{"key": "ca.crt", "path": "certs/ca.crt"}]}},
    ]
    pod = {
        "serviceAccountName": RUNNER,
        "containers": [container],
        "volumes": [{"name": "config", "projected": {"defaultMode": 0o400, "sources": sources}}],
        "terminationGracePeriodSeconds": 10,
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": RUNNER}, "spec": spec}


def wait_until_ready(api: Api, namespace: str, replicas: int = 1) -> None:
    """Raises LabError if the pods are not Ready in time."""
    path = f"{_deployments(namespace)}/{RUNNER}"
    eventually(lambda: api.get(path)["status"].get("readyReplicas", 0) == replicas, SECONDS)


def restart(api: Api, namespace: str, when: str) -> None:
    """As `kubectl rollout restart`. when: another value each time."""
    annotations = {"kubectl.kubernetes.io/restartedAt": when}
    change = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    api.patch(f"{_deployments(namespace)}/{RUNNER}", change)


def log(api: Api, namespace: str, labels: str = f"app={RUNNER}") -> str:
    """What the pods with these labels have written."""
    pods = api.get(f"{NAMESPACES}/{namespace}/pods?labelSelector={labels}")["items"]
    paths = [f"{NAMESPACES}/{namespace}/pods/{pod['metadata']['name']}/log" for pod in pods]
    return "\n".join(str(api.request("GET", path).body) for path in paths)


def names(api: Api, namespace: str) -> list[str]:
    """Of the pods that are there, those of jobs too."""
    return [pod["metadata"]["name"] for pod in api.get(f"{NAMESPACES}/{namespace}/pods")["items"]]


def _deployments(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def _item(key: str) -> dict[str, str]:
    return {"key": key, "path": key}
