# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role gitlab_runner_kubernetes gives GitLab's chart, and what it refuses for it."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from drawing import takes
from fake_gitlab import tls
from plays.cores import on_every_core, on_one_core
from plays.play import Play
from plays.table import assert_refused, run_each
from test_gitlab_runner_kubernetes import TOKEN, all_decided, by_kind, decided, in_cluster, part, runner, variables

pytestmark = [pytest.mark.slow, takes(52, "gitlab_runner_kubernetes_helm")]

# Renders a Deployment of the release as the chart {chart} does, and keeps what it was asked for.
HELM = """#!/bin/sh
printf '%s\\n' "$@" >"{directory}/asked"
cat >"{directory}/given"
if [ "$3" = missing/chart ]; then echo "Error: no such chart" >&2; exit 1; fi
echo '{{"kind": "Deployment", "metadata": {{"name": "'"$2"'", "labels": {{"chart": "{chart}"}}}}}}'
"""


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    play = Play(request.param, tmp_path)
    (tmp_path / "kubeconfig").write_text("{}")
    tls.make(tmp_path / "tls")
    program(tmp_path)
    return play


def program(directory: Path, chart: str = "gitlab-runner-0.86.0", name: str = "helm") -> Path:
    """A stand-in for helm."""
    path = directory / name
    path.write_text(HELM.format(directory=directory, chart=chart))
    path.chmod(0o755)
    return path


def by_helm(play: Play, helm: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    options = {"binary_path": str(play.directory / "helm"), "chart_ref": "charts/gitlab-runner", **(helm or {})}
    return {"gitlab_runner_kubernetes_method": "helm", "gitlab_runner_kubernetes_helm": options, **changes}


def release(values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What helm_info says of the release with these values."""
    status = {"status": "deployed", "chart": "gitlab-runner-0.86.0", "values": values, **changes}
    return {"_gitlab_runner_kubernetes_release_info": {"status": status}}


def of_chart(name: str = "gitlab-runner", kind: str = "Deployment") -> dict[str, Any]:
    """An object of the release as the cluster has it."""
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    return {
        "kind": kind,
        "metadata": {"name": name, "labels": labels, "annotations": {"meta.helm.sh/release-name": name}},
    }


def test_what_the_chart_is_given(play: Play) -> None:
    secret = {"environment": ["PASSWORD=opensesame"], "kubernetes": {"image": "debian:bookworm"}}
    options = by_helm(
        play,
        {
            "values": {
                "podLabels": {"team": "ci", "app.kubernetes.io/instance": "x"},
                "tolerations": [{"key": "b"}],
                "image": {"tag": "other"},
            }
        },
        gitlab_runner_runners=[{"name": "a`id`", "config": secret}],
        gitlab_runner_global={"concurrent": 4, "check_interval": 5, "log_level": "debug"},
        gitlab_runner_image="registry.example.com:5000/runner:1",
        gitlab_runner_stop_timeout="900",
        gitlab_runner_ca_file="tls/ca.crt",
        gitlab_runner_kubernetes_pod={"tolerations": [{"key": "a"}], "securityContext": {"runAsUser": 999}},
        gitlab_runner_kubernetes_container={"env": [{"name": "NO_PROXY", "value": "10.0.0.0/8"}]},
        _gitlab_runner_kubernetes_configured={"restart_checksum": "0123", "checksum": "4567"},
    )
    values = decided(play, **options)["values"]
    assert TOKEN not in json.dumps(values)
    assert "opensesame" not in json.dumps(values)
    assert values["runners"] == {"secret": "gitlab-runner", "config": "", "configPath": "/secrets/config.toml"}
    assert (values["unregisterRunners"], values["replicas"], values["fullnameOverride"]) == (False, 1, "gitlab-runner")
    assert (values["concurrent"], values["checkInterval"], values["logLevel"]) == (4, 5, "debug")
    assert values["terminationGracePeriodSeconds"] == 900
    assert values["image"] == {"registry": "", "image": "registry.example.com:5000/runner", "tag": "other"}
    assert values["tolerations"] == [{"key": "a"}, {"key": "b"}]
    assert values["podSecurityContext"]["runAsUser"] == 999
    assert values["podLabels"] == {
        "app.kubernetes.io/name": "gitlab-runner",
        "app.kubernetes.io/instance": "gitlab-runner",
        "team": "ci",
    }
    assert values["podAnnotations"]["pifleet.ci/config"] == "4567"
    assert values["envVars"] == [
        {"name": "RUNNER_NAME", "value": "a`id`"},
        {"name": "HOME", "value": "/home/gitlab-runner"},
        {"name": "NO_PROXY", "value": "10.0.0.0/8"},
    ]
    assert {"apiGroups": [""], "resources": ["pods/attach"], "verbs": ["create", "get"]} in values["rbac"]["rules"]
    mounted = {mount["name"]: mount["mountPath"] for mount in values["volumeMounts"]}
    directory = "/home/gitlab-runner/.gitlab-runner"
    assert mounted == {"system-id": f"{directory}/.runner_system_id", "ca": f"{directory}/certs"}
    (item,) = values["volumes"][1]["configMap"]["items"]
    assert item == {"key": "ca.crt", "path": "gitlab.example.com.crt"}


@on_one_core
def test_what_helm_is_asked(play: Play) -> None:
    archive = play.directory / "charts" / "gitlab-runner-0.86.0.tgz"
    archive.parent.mkdir()
    archive.touch()
    asked: dict[str, tuple[dict[str, Any], list[str]]] = {
        "a name": (
            {"chart_ref": "gitlab-runner"},
            ["gitlab-runner", "--repo", "https://charts.gitlab.io", "--version", "0.86.0"],
        ),
        "a name elsewhere": (
            {"chart_ref": "", "chart_repo_url": "https://charts.example.com", "chart_version": "0.85.0"},
            ["gitlab-runner", "--repo", "https://charts.example.com", "--version", "0.85.0"],
        ),
        "an archive": ({"chart_ref": "charts/gitlab-runner-0.86.0.tgz"}, [str(archive)]),
        "a registry": (
            {"chart_ref": "oci://r.example.com/gitlab-runner"},
            ["oci://r.example.com/gitlab-runner", "--version", "0.86.0"],
        ),
        "an alias": ({"chart_ref": "gitlab/gitlab-runner"}, ["gitlab/gitlab-runner", "--version", "0.86.0"]),
    }
    cases: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        name: ([], by_helm(play, options)) for name, (options, _arguments) in asked.items()
    }
    decisions = all_decided(play, cases, "rendering_command")
    common = ["--namespace", "gitlab-runner", "--values", "-"]
    assert {name: decision["rendering_command"][1:] for name, decision in decisions.items()} == {
        name: ["template", "gitlab-runner", arguments[0], *common, *arguments[1:]]
        for name, (_options, arguments) in asked.items()
    }


IMAGES = {
    "gitlab/gitlab-runner:alpine-v19.3.0": ("gitlab/gitlab-runner", "alpine-v19.3.0"),
    "r.example.com:5000/runner": ("r.example.com:5000/runner", "latest"),
    "runner:1@sha256:0123": ("runner:1@sha256", "0123"),
}


@on_one_core
def test_the_image_that_the_chart_puts_together(play: Play) -> None:
    cases: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        image: ([], by_helm(play, gitlab_runner_image=image)) for image in IMAGES
    }
    found = {name: each["values"]["image"] for name, each in all_decided(play, cases, "values").items()}
    assert found == {name: {"registry": "", "image": image, "tag": tag} for name, (image, tag) in IMAGES.items()}


def test_only_a_release_that_differs_is_upgraded(play: Play) -> None:
    values = decided(play, **by_helm(play))["values"]
    other = copy.deepcopy(values) | {"concurrent": 9}
    found: dict[str, dict[str, Any]] = {
        "none": {},
        "as wanted": release(values),
        "another value": release(other),
        "another version": release(values, chart="gitlab-runner-0.85.0"),
        "failed": release(values, status="failed"),
    }
    cases: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        name: ([], {**by_helm(play), **state}) for name, state in found.items()
    }
    outdated = {name: each["release_outdated"] for name, each in all_decided(play, cases, "release_outdated").items()}
    assert outdated == {name: name != "as wanted" for name in found}


def test_objects_of_both_methods(play: Play) -> None:
    """Who made what is there, and whether the other method has to end first."""
    manifests = in_cluster(decided(play))
    ours = {"deploymentLabels": {"app.kubernetes.io/part-of": "pifleet.ci"}}
    cases: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        "helm, bare": ([], by_helm(play)),
        "helm, after manifests": (manifests, by_helm(play)),
        "helm, ours": ([manifests[0], of_chart()], {**by_helm(play), **release(ours)}),
        "helm, another's": ([of_chart()], {**by_helm(play), **release({})}),
        "helm, pending": ([], {**by_helm(play), **release(ours, status="pending-upgrade")}),
        "manifests, after helm": ([of_chart(), of_chart(kind="Role")], release(ours)),
        "manifests, died while helm uninstalled": ([of_chart(kind="Role")], release(ours)),
        "helm, died while manifests went": (manifests[:2], by_helm(play)),
        "manifests, after helm of another": ([of_chart()], release({})),
        "manifests": (manifests, {}),
    }
    names = ("cluster_problems", "method_changes", "deployment_found", "unwanted", "manifests")
    decisions = all_decided(play, cases, *names)
    kinds = {name: [each["kind"] for each in decision["manifests"]] for name, decision in decisions.items()}
    assert kinds["helm, bare"] == ["NetworkPolicy"]
    assert {name: decision["method_changes"] for name, decision in decisions.items()} == {
        name: name.startswith(("helm, after", "helm, died", "manifests, after helm", "manifests, died"))
        and "another" not in name
        for name in cases
    }
    assert {name for name, decision in decisions.items() if decision["deployment_found"]} == {
        "helm, after manifests", "helm, ours", "manifests, after helm", "manifests",
    }  # fmt: skip
    assert all(decision["unwanted"] == [] for decision in decisions.values())
    problems = {name: " ".join(decision["cluster_problems"]) for name, decision in decisions.items()}
    assert {name for name, found in problems.items() if found} == {
        "helm, another's", "helm, pending", "manifests, after helm of another",
    }  # fmt: skip
    assert (
        "the release gitlab-runner of Helm in namespace gitlab-runner was not made by this"
        in problems["helm, another's"]
    )
    assert "is pending-upgrade" in problems["helm, pending"]
    assert by_kind(decided(play, **by_helm(play)))["NetworkPolicy"]["spec"]["ingress"] == []


@on_one_core
def test_terminals_of_the_chart(play: Play) -> None:
    values = {"sessionServer": {"enabled": True, "internalPort": 8094}}
    decision = decided(play, **by_helm(play, {"values": values}))
    ports = by_kind(decision)["NetworkPolicy"]["spec"]["ingress"][0]["ports"]
    assert [port["port"] for port in ports] == [8094]
    assert ["services"] in [rule["resources"] for rule in decision["values"]["rbac"]["rules"]]


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "two runners": ({}, {"gitlab_runner_runners": [runner("a"), runner("b")]}, "gitlab_runner_runners has 2 runners"),
    "a key that it has not": (
        {},
        {"gitlab_runner_global": {"user": "root"}},
        "gitlab_runner_global has user, for which GitLab's chart has no value",
    ),
    "terminals": ({}, {"gitlab_runner_global": {"session_server": {"listen_address": ":1"}}}, "set sessionServer in"),
    "a secret": ({}, {"gitlab_runner_global": {"sentry_dsn": "https://a@b/1"}}, "which is secret and would be in a"),
    "DNS": (
        {},
        {"gitlab_runner_kubernetes_pod": {"dnsPolicy": "Default"}},
        "gitlab_runner_kubernetes_pod has dnsPolicy, for which GitLab's chart has no value",
    ),
    "a token": (
        {"values": {"runnerToken": "glrt-hushhushhush1234"}},
        {},
        "values has runnerToken, which the role sets",
    ),
    "what would be another runner": (
        {
            "values": {
                "replicas": 3,
                "unregisterRunners": True,
                "runners": {"config": "", "cache": {}},
                "rbac": {"create": False, "rules": []},
                "metrics": {"port": 1, "serviceMonitor": {}},
            }
        },
        {},
        "values has metrics.port, rbac.create, replicas, runners.config, unregisterRunners, which the role",
    ),
    "DNS and TLS": (
        {"values": {"certsSecretName": "ca", "hpa": {}}},
        {},
        "values has certsSecretName, hpa, which the role sets itself",
    ),
    "an option of the role": ({"chart": "a"}, {}, "Supported parameters include"),
}


def test_one_sentence_before_anything_is_touched(play: Play) -> None:
    cases = {
        name: ([part("preflight")], variables(**by_helm(play, helm, **changes)))
        for name, (helm, changes, _sentence) in REFUSED.items()
    }
    assert_refused(play, cases, {name: [sentence] for name, (_helm, _changes, sentence) in REFUSED.items()})


def test_one_sentence_of_what_helm_says(play: Play) -> None:
    """Nothing but helm has been run, and that on the control node."""
    other = program(play.directory, "grafana-1.0.0", "other")
    refused: dict[str, tuple[dict[str, Any], str]] = {
        "no program": ({"binary_path": "/nowhere/helm"}, "the control node has no program /nowhere/helm: install Helm"),
        "no chart": (
            {"chart_ref": "missing/chart"},
            "helm cannot render the chart missing/chart 0.86.0 (Error: no such chart): check chart_ref",
        ),
        "root": (
            {"values": {"podSecurityContext": {"runAsUser": 0, "runAsNonRoot": False}}},
            "runAsUser of the pod is 0, with which GitLab's chart has another directory",
        ),
        "another chart": (
            {"binary_path": str(other)},
            "charts/gitlab-runner is not GitLab's chart gitlab-runner: check chart_ref",
        ),
    }
    cases = {
        name: ([part("preflight"), part("render")], variables(**by_helm(play, helm)))
        for name, (helm, _sentence) in refused.items()
    }
    outcomes = run_each(play, cases)
    said = {name: outcome.output for name, outcome in outcomes.items() if outcome.failed}
    assert [name for name, (_helm, sentence) in refused.items() if f"pi-01: {sentence}" not in said.get(name, "")] == []


@on_one_core
@pytest.mark.skipif(not shutil.which("helm"), reason="there is no program helm")
def test_what_helm_itself_says(play: Play) -> None:
    helm = {"binary_path": shutil.which("helm"), "chart_ref": "nowhere/at-all"}
    outcome = run_each(play, {"": ([part("preflight"), part("render")], variables(**by_helm(play, helm)))})[""]
    assert "pi-01: helm cannot render the chart nowhere/at-all 0.86.0 (Error: " in outcome.output
