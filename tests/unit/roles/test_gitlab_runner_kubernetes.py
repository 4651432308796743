# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role gitlab_runner_kubernetes decides and refuses, from its variables and what was gathered of a cluster."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.filter.outdated_objects import outdated_objects
from drawing import takes
from fake_gitlab import tls
from plays.cores import on_every_core, on_one_core
from plays.play import Play
from plays.table import assert_refused, run_each, show

pytestmark = [pytest.mark.slow, takes(58, "gitlab_runner_kubernetes")]

TOKEN = "glpat-hushhushhush1234"
NAMES = (
    "entries", "manifests", "namespace_manifest", "outdated", "unwanted", "rolled_out", "namespace_is_ours", "values",
)  # fmt: skip


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    play = Play(request.param, tmp_path)
    (tmp_path / "kubeconfig").write_text("{}")
    tls.make(tmp_path / "tls")
    return play


def variables(**changes: Any) -> dict[str, Any]:
    return {
        "gitlab_runner_url": "https://gitlab.example.com",
        "gitlab_runner_api_token": TOKEN,
        "gitlab_runner_defaults": {"gitlab": {"runner_type": "project_type", "project_id": 42}},
        "gitlab_runner_runners": [runner()],
        "gitlab_runner_kubernetes_kubeconfig": "kubeconfig",
        "gitlab_runner_kubernetes_context": "k3s",
        **changes,
    }


def runner(name: str = "kubernetes", **pods: Any) -> dict[str, Any]:
    return {"name": name, "config": {"kubernetes": {"image": "debian:bookworm", **pods}}}


def part(name: str) -> dict[str, Any]:
    role = {"name": "pifleet.ci.gitlab_runner_kubernetes", "tasks_from": name, "public": True}
    return {"ansible.builtin.include_role": role}


def all_decided(
    play: Play, cases: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]], *names: str
) -> dict[str, dict[str, Any]]:
    """What the role decides about these objects of a cluster with these variables."""
    shown = show("{" + ", ".join(f"'{name}': _gitlab_runner_kubernetes_{name}" for name in names or NAMES) + "}")
    gathered = {
        name: {
            "_gitlab_runner_kubernetes_configured": {"restart_checksum": "0123"},
            **variables(**options),
            "_gitlab_runner_kubernetes_gathered": {"results": [{"resources": [each]} for each in found]},
        }
        for name, (found, options) in cases.items()
    }
    rendered = [name for name, given in gathered.items() if given.get("gitlab_runner_kubernetes_method") == "helm"]
    steps = {name: ["preflight", *(["render"] if name in rendered else [])] for name in gathered}
    outcomes = run_each(play, {name: ([*map(part, steps[name]), shown], gathered[name]) for name in gathered})
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}
    assert play.module_executions == len(rendered)
    assert not [name for name, outcome in outcomes.items() if TOKEN in outcome.output]
    return {name: outcome.value for name, outcome in outcomes.items()}


def decided(play: Play, *found: dict[str, Any], **options: Any) -> dict[str, Any]:
    return all_decided(play, {"": (list(found), options)})[""]


def by_kind(decision: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in [decision["namespace_manifest"], *decision["manifests"]]}


def in_cluster(decision: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects after the role has written them, the pod ready."""
    found = outdated_objects([decision["namespace_manifest"], *decision["manifests"]], [])
    for each in found:
        if each["kind"] == "Deployment":
            each["metadata"]["generation"] = 2
            counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 1)
            each["status"] = {"observedGeneration": 2, **counts}
    return found


def test_what_a_plain_runner_becomes(play: Play) -> None:
    decision = decided(play)
    objects = by_kind(decision)
    assert list(objects) == [
        "Namespace", "ServiceAccount", "Role", "RoleBinding", "NetworkPolicy", "Deployment",
    ]  # fmt: skip
    labels = objects["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert {each["metadata"].get("namespace") for each in decision["manifests"]} == {"gitlab-runner"}
    assert {each["metadata"]["labels"]["app.kubernetes.io/managed-by"] for each in objects.values()} == {"pifleet.ci"}
    assert len(decision["outdated"]) == len(decision["manifests"])
    assert (decision["unwanted"], decision["rolled_out"]) == ([], False)

    (entry,) = decision["entries"]
    assert (entry["name"], entry["executor"]) == ("kubernetes", "kubernetes")
    assert entry["kubernetes"] == {
        "namespace": "gitlab-runner",
        "automount_service_account_token": False,
        "pod_disruption_budget": True,
        "image": "debian:bookworm",
    }
    rules = {rule["resources"][0]: rule["verbs"] for rule in objects["Role"]["rules"]}
    assert rules["poddisruptionbudgets"] == ["create", "get"]
    assert "services" not in rules
    assert objects["NetworkPolicy"]["spec"]["ingress"] == []


def test_what_minus_e_gives_is_a_string(play: Play) -> None:
    objects = by_kind(decided(play, gitlab_runner_stop_timeout="900", gitlab_runner_kubernetes_metrics="false"))
    assert objects["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 900
    assert objects["NetworkPolicy"]["spec"]["ingress"] == []


def test_the_pod(play: Play) -> None:
    spec = by_kind(decided(play, gitlab_runner_stop_timeout=900))["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]["rollingUpdate"]) == (1, {"maxSurge": 1, "maxUnavailable": 0})
    pod = spec["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 900
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["image"].startswith("gitlab/gitlab-runner:alpine-v")
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "LISTEN_ADDRESS", "value": ":9252"} in container["env"]
    (source,) = pod["volumes"][0]["projected"]["sources"]
    assert source["secret"]["name"] == "gitlab-runner"
    assert [item["key"] for item in source["secret"]["items"]] == ["config.toml", ".runner_system_id"]


def test_what_settings_change(play: Play) -> None:
    pod = {
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"key": "arm", "operator": "Exists"}],
        "securityContext": {"runAsUser": 999},
    }
    container = {"env": [{"name": "NO_PROXY", "value": "10.0.0.0/8"}], "resources": {"limits": {"memory": "512Mi"}}}
    cases: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        "ca": ([], {"gitlab_runner_ca_file": "tls/ca.crt", "gitlab_runner_url": "https://GitLab.example.com:8443"}),
        "cache": ([], {"gitlab_runner_kubernetes_cache_volume": {"size": "10Gi", "storage_class": "nfs"}}),
        "open": (
            [],
            {
                "gitlab_runner_kubernetes_metrics": True,
                "gitlab_runner_global": {"session_server": {"listen_address": "[::]:8093"}},
            },
        ),
        "pod": ([], {"gitlab_runner_kubernetes_pod": pod, "gitlab_runner_kubernetes_container": container}),
        "privileged": ([], {"gitlab_runner_runners": [{**runner(privileged=True), "allow_privileged": True}]}),
        "own": ([], {"gitlab_runner_image": "registry.example.com/runner:1"}),
        "verified": (
            [],
            {"gitlab_runner_runners": [{"name": "a", "config": {"experimental": {"boot_verify": {"enabled": True}}}}]},
        ),
    }
    decisions = all_decided(play, cases)
    objects = {name: by_kind(decision) for name, decision in decisions.items()}

    assert objects["ca"]["ConfigMap"]["data"] == {"ca.crt": (play.directory / "tls" / "ca.crt").read_text()}
    template = objects["ca"]["Deployment"]["spec"]["template"]
    paths = [
        item["path"]
        for source in template["spec"]["volumes"][0]["projected"]["sources"]
        for item in next(iter(source.values()))["items"]
    ]
    assert paths == ["config.toml", ".runner_system_id", "certs/GitLab.example.com.crt"]
    assert (
        template["metadata"]["annotations"]
        != objects["pod"]["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    )

    claim = objects["cache"]["PersistentVolumeClaim"]["spec"]
    assert claim == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "10Gi"}},
        "storageClassName": "nfs",
    }
    volumes = decisions["cache"]["entries"][0]["kubernetes"]["volumes"]
    assert volumes == {"pvc": [{"name": "gitlab-runner-cache", "mount_path": "/cache"}]}

    ports = objects["open"]["NetworkPolicy"]["spec"]["ingress"][0]["ports"]
    assert [port["port"] for port in ports] == [9252, 8093]
    assert ["services"] in [rule["resources"] for rule in objects["open"]["Role"]["rules"]]

    spec = objects["pod"]["Deployment"]["spec"]["template"]["spec"]
    assert (spec["nodeSelector"], spec["tolerations"]) == (pod["nodeSelector"], pod["tolerations"])
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["fsGroup"]) == (999, 65533)
    assert spec["containers"][0]["env"][-1]["name"] == "NO_PROXY"
    assert spec["containers"][0]["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"memory": "512Mi"},
    }
    level = objects["privileged"]["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert level == "privileged"
    own = objects["own"]["Deployment"]["spec"]["template"]["spec"]
    assert (own["containers"][0]["image"], own["affinity"]) == ("registry.example.com/runner:1", {})
    verified = objects["verified"]["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert verified["readinessProbe"]["httpGet"]["path"] == "/health/ready"


def test_only_what_differs_is_written(play: Play) -> None:
    there = in_cluster(decided(play, gitlab_runner_ca_file="tls/ca.crt"))
    scaled, foreign = copy.deepcopy(there), copy.deepcopy(there)
    scaled[-1]["spec"]["replicas"] = 3
    foreign[0]["metadata"]["labels"] = {}
    with_ca = {"gitlab_runner_ca_file": "tls/ca.crt"}
    cases: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        "as wanted": (there, with_ca),
        "scaled by hand": (scaled, with_ca),
        "another image": (there, {**with_ca, "gitlab_runner_image": "a/b:1"}),
        "without the CA": (there, {}),
        "another's namespace": (foreign, with_ca),
        "settings that are reloaded": (there, {**with_ca, "gitlab_runner_global": {"concurrent": 9}}),
    }
    decisions = all_decided(play, cases)
    written = {name: [each["kind"] for each in decision["outdated"]] for name, decision in decisions.items()}
    assert written == {
        "as wanted": [],
        "scaled by hand": ["Deployment"],
        "another image": ["Deployment"],
        "without the CA": ["Deployment"],
        "another's namespace": [],
        "settings that are reloaded": [],
    }
    unwanted = {name: [each["kind"] for each in decision["unwanted"]] for name, decision in decisions.items()}
    assert unwanted == {**{name: [] for name in cases}, "without the CA": ["ConfigMap"]}
    assert {name: decision["namespace_is_ours"] for name, decision in decisions.items()} == {
        **dict.fromkeys(cases, True),
        "another's namespace": False,
    }
    assert all(decision["rolled_out"] for decision in decisions.values())


@on_one_core
def test_a_cache_volume_that_is_taken_out(play: Play) -> None:
    """What is not said stays in config.toml, and jobs would wait for a claim that is gone."""
    cache = {"gitlab_runner_kubernetes_cache_volume": {"size": "10Gi"}}
    there = in_cluster(decided(play, **cache))
    own = [{"name": "own", "mount_path": "/own"}]
    cases: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        "wanted": (there, cache),
        "taken out": (there, {}),
        "another one": (there, {"gitlab_runner_runners": [runner(volumes={"pvc": own})]}),
        "gone": ([each for each in there if each["kind"] != "PersistentVolumeClaim"], {}),
    }
    decisions = all_decided(play, cases)
    pods = {name: decision["entries"][0]["kubernetes"] for name, decision in decisions.items()}
    assert pods["wanted"]["volumes"]["pvc"] == [{"name": "gitlab-runner-cache", "mount_path": "/cache"}]
    assert pods["taken out"]["volumes"] == {"pvc": None}
    assert pods["another one"]["volumes"]["pvc"] == own
    assert "volumes" not in pods["gone"]
    for name in ("taken out", "another one"):  # another pod, which has read it, before the claim is deleted
        assert [each["kind"] for each in decisions[name]["outdated"]] == ["Deployment"]
        assert [each["kind"] for each in decisions[name]["unwanted"]] == ["PersistentVolumeClaim"]
    assert decisions["wanted"]["outdated"] == []


@on_one_core
def test_a_rollout_that_has_not_ended(play: Play) -> None:
    there = in_cluster(decided(play))
    changes: dict[str, dict[str, Any]] = {
        "not seen yet": {"observedGeneration": 1},
        "the old pod is there": {"replicas": 2},
        "the new pod is not": {"updatedReplicas": 0},
        "the new pod is not ready": {"availableReplicas": 0},
    }
    cases: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {}
    for name, change in changes.items():
        found = copy.deepcopy(there)
        found[-1]["status"] |= change
        cases[name] = (found, {})
    decisions = all_decided(play, cases, "rolled_out")
    assert [name for name, decision in decisions.items() if decision["rolled_out"]] == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no kubeconfig": ({"gitlab_runner_kubernetes_kubeconfig": "nowhere"}, "kubeconfig is no file on the control node"),
    "no context": ({"gitlab_runner_kubernetes_context": ""}, "gitlab_runner_kubernetes_context is empty"),
    "namespace": ({"gitlab_runner_kubernetes_namespace": "CI"}, "gitlab_runner_kubernetes_namespace must be 1 to 63"),
    "system": ({"gitlab_runner_kubernetes_namespace": "kube-system"}, "which belongs to Kubernetes itself"),
    "name": ({"gitlab_runner_kubernetes_name": "a.b"}, "gitlab_runner_kubernetes_name must be 1 to 50"),
    "long name": ({"gitlab_runner_kubernetes_name": "a" * 51}, "gitlab_runner_kubernetes_name must be 1 to 50"),
    "executor": (
        {"gitlab_runner_runners": [{"name": "a", "config": {"executor": "docker"}}]},
        "a of pi-01 has another executor than kubernetes",
    ),
    "privileged": ({"gitlab_runner_runners": [runner(privileged=True)]}, "kubernetes of pi-01 has privileged"),
    "privileged, and a string": (
        {"gitlab_runner_runners": [{**runner(privileged=True), "allow_privileged": "false"}]},
        "kubernetes of pi-01 has privileged",
    ),
    "listen_address": ({"gitlab_runner_global": {"listen_address": ":1"}}, "gitlab_runner_global has a listen_address"),
    "credentials": (
        {"gitlab_runner_registry_credentials": {"r.example.com": {"username": "a", "password": "b"}}},
        "gitlab_runner_registry_credentials has no effect in a cluster",
    ),
    "environment": (
        {"gitlab_runner_kubernetes_container": {"env": [{"name": "HOME", "value": "/"}]}},
        "has HOME, LISTEN_ADDRESS or CONFIG_FILE",
    ),
    "size": ({"gitlab_runner_kubernetes_cache_volume": {"size": "big"}}, "must be a quantity such as 10Gi, but is big"),
    "a unit that Kubernetes does not have": (
        {"gitlab_runner_kubernetes_cache_volume": {"size": "10K"}},
        "must be a quantity such as 10Gi, but is 10K",
    ),
    "no number": (
        {"gitlab_runner_kubernetes_cache_volume": {"size": "1.2.3Gi"}},
        "must be a quantity such as 10Gi, but is 1.2.3Gi",
    ),
    "environment that is no string": (
        {"gitlab_runner_kubernetes_container": {"env": [{"name": "A", "value": True}]}},
        "gitlab_runner_kubernetes_container.env must be a list, of which each element has a name and a value",
    ),
    "environment that is no list": (
        {"gitlab_runner_kubernetes_container": {"env": "name=A"}},
        "gitlab_runner_kubernetes_container.env must be a list, of which each element has a name and a value",
    ),
    "no port": (
        {"gitlab_runner_global": {"session_server": {"listen_address": "0.0.0.0"}}},
        "listen_address of session_server in gitlab_runner_global ends in no port: write it as [::]:8093",
    ),
    "the schema": ({"gitlab_runner_runners": [runner(imag="x")]}, "the nearest is image"),
    "the URL": ({"gitlab_runner_url": "gitlab"}, "gitlab_runner_url must be the URL of GitLab"),
    "no runner": ({"gitlab_runner_runners": []}, "gitlab_runner_runners needs at least one runner"),
    "an option of the role": ({"gitlab_runner_kubernetes_pod": {"hostNetwork": True}}, "hostNetwork"),
    "attributes": (
        {"gitlab_runner_defaults": {"gitlab": {"runner_type": "project_type"}}},
        'Runner "kubernetes" of gitlab-runner.pi-01: project_id is missing',
    ),
}


def test_one_sentence_before_anything_is_touched(play: Play) -> None:
    cases = {name: ([part("preflight")], variables(**options)) for name, (options, _sentence) in REFUSED.items()}
    assert_refused(play, cases, {name: [sentence] for name, (_options, sentence) in REFUSED.items()})


def test_a_cluster_in_which_it_cannot_be_done(play: Play) -> None:
    there = in_cluster(decided(play))
    foreign, ending = copy.deepcopy(there), copy.deepcopy(there)
    foreign[-1]["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    ending[0]["metadata"]["deletionTimestamp"] = "2026-11-26T12:00:00Z"
    cases: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        "another's": (foreign, {}),
        "another's, to be removed": (foreign, {"gitlab_runner_kubernetes_state": "absent"}),
        "ending": (ending, {}),
        "fine": (there, {}),
    }
    found = all_decided(play, cases, "cluster_problems", "deployment_found")
    assert {name: len(each["cluster_problems"]) for name, each in found.items()} == {
        "another's": 1,
        "another's, to be removed": 0,
        "ending": 1,
        "fine": 0,
    }
    assert (
        "Deployment gitlab-runner in namespace gitlab-runner was not made by"
        in found["another's"]["cluster_problems"][0]
    )
    assert "is being deleted: run again" in found["ending"]["cluster_problems"][0]
    assert found["another's, to be removed"]["deployment_found"] == {}


@on_one_core
def test_why_the_pods_cannot_be_read_is_said(play: Play) -> None:
    access = {"kubeconfig": "nowhere", "context": "k3s"}
    failing = {
        "block": [{"ansible.builtin.fail": {"msg": "no new pod"}}],
        "rescue": [part("fail_with_log")],
        "module_defaults": {"group/kubernetes.core.k8s": access},
        "delegate_to": "localhost",
    }
    outcome = run_each(play, {"": ([part("preflight"), failing], variables())})[""]
    assert outcome.failed
    said = outcome.output[outcome.output.rindex("the pod of GitLab Runner does not become ready. no new pod") :]
    assert "Could not create API client" in said


def test_two_hosts_with_one_namespace(play: Play) -> None:
    play_vars = variables()
    names = ("gitlab_runner_kubernetes_kubeconfig", "gitlab_runner_kubernetes_context")
    facts = {"ansible.builtin.set_fact": {name: play_vars.pop(name) for name in names}}
    plays = [{"hosts": "all", "vars": play_vars, "tasks": [facts, part("preflight")]}]
    done = play.run_plays(plays, hosts=["k3s-a", "k3s-b"])
    said = " ".join((done.stdout + done.stderr).split())
    assert "k3s-a and k3s-b have the same namespace gitlab-runner of the same cluster" in said


LEFT: list[dict[str, Any]] = [
    {"kind": "ServiceAccount", "metadata": {"name": "default"}},
    {"kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}},
    {"kind": "Pod", "metadata": {"name": "a", "ownerReferences": [{}]}},
    {"kind": "PersistentVolumeClaim", "metadata": {"name": "b", "deletionTimestamp": "x"}},
]


@on_one_core
def test_what_keeps_a_namespace(play: Play) -> None:
    apis = {
        "v1": {
            "Pod": {"namespaced": True, "preferred": True},
            "Node": {"namespaced": False, "preferred": True},
            "Event": {"namespaced": True, "preferred": True},
        },
        "batch/v1": {"Job": {"namespaced": True, "preferred": True}},
        "batch/v1beta1": {"Job": {"namespaced": True, "preferred": False}},
    }
    other = {"kind": "Secret", "metadata": {"name": "c"}}
    refused = {"item": ["v1", "Lease"], "msg": "forbidden"}
    cases = {
        "nothing": [{"resources": LEFT}],
        "a Secret": [{"resources": LEFT}, {"resources": [other]}],
        "unknown": [{"resources": LEFT}, refused],
    }
    shown = show("[_gitlab_runner_kubernetes_objects_of_others, _gitlab_runner_kubernetes_namespaced_kinds]")
    outcomes = run_each(
        play,
        {
            name: (
                [part("preflight"), shown],
                variables(
                    _gitlab_runner_kubernetes_left={"results": results},
                    _gitlab_runner_kubernetes_cluster={"apis": apis},
                ),
            )
            for name, results in cases.items()
        },
    )
    assert {name: outcome.value[0] for name, outcome in outcomes.items()} == {
        "nothing": [],
        "a Secret": ["Secret c"],
        "unknown": ["Lease (which cannot be listed)"],
    }
    assert outcomes["nothing"].value[1] == [["v1", "Pod"], ["batch/v1", "Job"]]
