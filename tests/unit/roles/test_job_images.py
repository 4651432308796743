# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role job_images builds, shares and removes, and what it refuses."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays.cores import on_every_core, on_one_core
from plays.play import ROOT, Play
from plays.table import assert_refused, run_each, show

pytestmark = pytest.mark.slow

LABEL = "ci.pifleet.job-image"
REGISTRY = "registry.example.com:5000"
LOGINS = {"gitlab_runner_registry_credentials": {REGISTRY: {"username": "ci", "password": "a secret"}}}
LOGIN_PATH = "/etc/gitlab-runner/.registry-credentials/.docker/config.json"
TOOLS = {"name": "tools:1", "context": "files/tools"}
SHARED = {"job_images_registry": REGISTRY}
IN_REGISTRY = f"{REGISTRY}/tools:1-arm64"


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    context = tmp_path / "files" / "tools"
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text("FROM debian:bookworm\n")
    (context / "other.dockerfile").write_text("FROM debian:trixie\n")
    return Play(request.param, tmp_path)


def role(part: str) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": "pifleet.ci.job_images", "tasks_from": part, "public": True}}


def host(seen: Any = None, **facts: Any) -> dict[str, Any]:
    """A Pi with images, by reference the value of the label."""
    return {"pifleet_host": {
        "architecture": "arm64", "engine": {}, "engine_error": "", "labelled_images": {LABEL: seen or {}},
        "checksums": {LOGIN_PATH: None}, **facts,
    }}  # fmt: skip


STEPS = "_job_images_steps | map('first') | zip(_job_images_steps | map('last') | map(attribute='reference'))"


def steps(play: Play, cases: dict[str, tuple[Any, dict[str, Any]]], *arguments: str) -> dict[str, Any]:
    """For each case, which has what the Pi has and variables, the task files and the names of images."""
    tasks = [role("preflight"), show(f"{STEPS} | map('join', ' ')")]
    outcomes = run_each(
        play, {name: (tasks, {**host(seen), **given}) for name, (seen, given) in cases.items()}, *arguments
    )
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}
    assert play.module_executions == 0
    return {name: outcome.value for name, outcome in outcomes.items()}


WANTED = "{{ _job_images_wanted[0].digest }}"
"""A variable that is templated when the role looks at what the Pi has."""


DECISIONS: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    "nothing asked for": ({"tools:1": "x"}, {}, []),
    "missing": ({}, {"job_images_builds": [TOOLS]}, ["build.yml tools:1"]),
    "built": ({"tools:1": WANTED}, {"job_images_builds": [TOOLS]}, []),
    "of other files": ({"tools:1": "x"}, {"job_images_builds": [TOOLS]}, ["build.yml tools:1"]),
    "another name": (
        {"tools:1": WANTED}, {"job_images_builds": [{**TOOLS, "name": "tools:2"}]}, ["build.yml tools:2"]
    ),
    "without a tag": (
        {"tools:1": WANTED}, {"job_images_builds": [{**TOOLS, "name": "ci/tools"}]}, ["build.yml ci/tools:latest"]
    ),
    "a port is no tag": (
        {}, {"job_images_builds": [{**TOOLS, "name": f"{REGISTRY}/tools"}]}, [f"build.yml {REGISTRY}/tools:latest"]
    ),
    "Docker Hub": (
        {"me/tools:1-arm64": WANTED}, {"job_images_registry": "docker.io/me", "job_images_builds": [TOOLS]}, []
    ),
    "of Docker Hub": (
        {"tools:1": WANTED}, {"job_images_builds": [{**TOOLS, "name": "docker.io/library/tools:1"}]}, []
    ),
    "shared, missing": ({}, {**SHARED, "job_images_builds": [TOOLS]}, [f"share.yml {IN_REGISTRY}"]),
    "shared, built": ({IN_REGISTRY: WANTED}, {**SHARED, "job_images_builds": [TOOLS]}, []),
    "built, but not shared": (
        {"tools:1": WANTED}, {**SHARED, "job_images_builds": [TOOLS]}, [f"share.yml {IN_REGISTRY}"]
    ),
    "not pushed yet": (
        {IN_REGISTRY: WANTED, f"{IN_REGISTRY}-unpushed": WANTED},
        {**SHARED, "job_images_builds": [TOOLS]}, [f"share.yml {IN_REGISTRY}"],
    ),
    "absent": (
        {"tools:1": "x", "other:1": "x"}, {"job_images_builds": [{"name": "tools:1", "state": "absent"}]},
        ["remove_image.yml tools:1"],
    ),
    "absent, and gone": ({}, {"job_images_builds": [{"name": "tools:1", "state": "absent"}]}, []),
    "shared, absent": (
        {IN_REGISTRY: "x", f"{IN_REGISTRY}-unpushed": "x"},
        {**SHARED, "job_images_builds": [{"name": "tools:1", "state": "absent"}]},
        [f"remove_image.yml {IN_REGISTRY}", f"remove_image.yml {IN_REGISTRY}-unpushed"],
    ),
    "one of each": (
        {"old:1": "x", "tools:1": WANTED},
        {"job_images_builds": [{"name": "old:1", "state": "absent"}, TOOLS, {**TOOLS, "name": "new:1"}]},
        ["build.yml new:1", "remove_image.yml old:1"],
    ),
}  # fmt: skip


def test_what_differs_is_done(play: Play) -> None:
    found = steps(play, {name: (seen, given) for name, (seen, given, _expected) in DECISIONS.items()})
    assert found == {name: expected for name, (*_case, expected) in DECISIONS.items()}


@on_one_core
def test_check_mode_reports(play: Play) -> None:
    """Also on a Pi on which the playbook site would install Docker Engine and the login first."""
    bare = host(engine=None, engine_error="It does not answer.")
    given = {"": {}, "shared": SHARED, "bare": bare, "no login yet": {**SHARED, **LOGINS}}
    cases = {name: ({}, {"job_images_builds": [TOOLS], **more}) for name, more in given.items()}
    assert steps(play, cases, "--check") == {
        "": ["report.yml tools:1"],
        "shared": [f"report.yml {IN_REGISTRY}"],
        "bare": ["report.yml tools:1"],
        "no login yet": [f"report.yml {IN_REGISTRY}"],
    }


@on_one_core
def test_what_a_build_depends_on(play: Play) -> None:
    builds: dict[str, tuple[dict[str, Any], str]] = {
        "as it is": (TOOLS, "arm64"),
        "another name": ({**TOOLS, "name": "other:2"}, "arm64"),
        "another place": ({**TOOLS, "context": str(play.directory / "files" / "tools")}, "arm64"),
        "an argument": ({**TOOLS, "args": {"VERSION": "2"}}, "arm64"),
        "another Dockerfile": ({**TOOLS, "dockerfile": "other.dockerfile"}, "arm64"),
        "another architecture": (TOOLS, "armhf"),
    }
    tasks = [role("preflight"), show("_job_images_wanted[0].digest")]
    cases = {
        name: (tasks, {**host(architecture=machine), "job_images_builds": [build]})
        for name, (build, machine) in builds.items()
    }
    found = {name: outcome.value for name, outcome in run_each(play, cases).items()}
    assert found["as it is"] == found["another name"] == found["another place"]
    assert len(set(found.values())) == 4


@on_one_core
def test_contexts_of_killed_runs_go(play: Play) -> None:
    """What may be in use stays, and so does what the role has not made."""
    [block] = yaml.safe_load((ROOT / "roles" / "job_images" / "tasks" / "build.yml").read_text())
    place = play.directory / "tmp-of-the-pi"
    hours = {"pifleet-job-images.killed": 6, "pifleet-job-images.building": 4, "of-somebody-else": 600}
    for name, age in hours.items():
        (place / name / "context").mkdir(parents=True)
        os.utime(place / name, (time.time() - age * 3600,) * 2)
    (place / "pifleet-job-images.file").touch()
    os.utime(place / "pifleet-job-images.file", (0, 0))
    tasks = [role("preflight"), block["block"][0]]
    variables = {"_job_images_temporary_directory": str(place), "job_images_builds": [], **host()}
    for changes in (1, 0):
        done = play.run(tasks, "-e", json.dumps(variables))
        assert f"changed={changes}" in done.stdout, done.stdout + done.stderr
        names = sorted(entry.name for entry in place.iterdir())
        assert names == ["of-somebody-else", "pifleet-job-images.building", "pifleet-job-images.file"]


def one(**options: Any) -> dict[str, Any]:
    return {"job_images_builds": [{**TOOLS, **options}]}


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no engine": (
        {"engine": None, "engine_error": "It does not answer."}, one(),
        "pi-01 cannot build images, because no Docker Engine answers: run the playbook pifleet.ci.site first. It does"
    ),
    "no name": ({}, {"job_images_builds": [{"context": "files/tools"}]}, "missing required arguments: name"),
    "an unknown option": ({}, one(tag="1"), "job_images_builds.tag. Supported parameters include: args, context"),
    "an unknown state": ({}, one(state="gone"), "value of state must be one of: absent, present, got: gone"),
    "upper case": ({}, one(name="Tools:1"), "job_images_builds names Tools:1, which cannot be built"),
    "a digest": ({}, one(name="tools@sha256:abc"), "job_images_builds names tools@sha256:abc, which cannot be built"),
    "a long tag": ({}, one(name="tools:" + "1" * 101), "which cannot be built"),
    "two registries": (
        {}, {**one(name=f"{REGISTRY}/tools:1"), **SHARED},
        f"names {REGISTRY}/tools:1, which cannot be built: a name is in lower case, with a tag, such as tools:1, and"
    ),
    "twice": (
        {}, {"job_images_builds": [{**TOOLS, "name": "tools"}, {**TOOLS, "name": "tools:latest"}]},
        "job_images_builds names an image twice: tools, tools:latest"
    ),
    "no context": ({}, {"job_images_builds": [{"name": "tools:1"}]}, "there is no Dockerfile for tools:1: context"),
    "no such context": ({}, one(context="files/nowhere"), "there is no Dockerfile for tools:1"),
    "a file": ({}, one(context="files/tools/Dockerfile"), "there is no Dockerfile for tools:1"),
    "no Dockerfile": ({}, one(dockerfile="none"), "there is no Dockerfile for tools:1"),
    "a URL": (
        {}, {**one(), "job_images_registry": "https://registry.example.com"},
        "job_images_registry must be a registry as it stands in names of images, such as registry.example.com:5000 or"
    ),
    "no login yet": (
        {}, {**one(), **SHARED, **LOGINS},
        "pi-01 does not have the logins of gitlab_runner_registry_credentials yet: run the playbook pifleet.ci.site"
    ),
    "a number that YAML has shortened": (
        {}, one(args={"A": "1.10", "B": 1.1, "C": 2, "D": True, "E": None, "F": ["x"]}),
        "are a mapping with strings, so write the value with quotes: B of tools:1, E of tools:1, F of tools:1."
    ),
    "arguments that are no mapping": ({}, one(args="A=1"), "so write the value with quotes: tools:1."),
    "none at a time": ({}, {**one(), "job_images_throttle": 0}, "job_images_throttle must be at least 1"),
}  # fmt: skip


def test_one_sentence_before_anything_is_touched(play: Play) -> None:
    cases = {name: ([role("preflight")], {**host(**facts), **given}) for name, (facts, given, _s) in REFUSED.items()}
    outcomes = assert_refused(play, cases, {name: [sentence] for name, (*_case, sentence) in REFUSED.items()})
    assert [name for name, outcome in outcomes.items() if "a secret" in outcome.output] == []


@on_one_core
def test_good_settings_pass(play: Play) -> None:
    login = host(checksums={LOGIN_PATH: "abc"})
    settings: dict[str, dict[str, Any]] = {
        "none, without an engine": {**host(engine=None)},
        "a registry in the name": one(name="registry.example.com/ci/my_tools-arm:1.0-rc1"),
        "a path in the registry": {**one(), "job_images_registry": "registry.example.com/ci/images"},
        "a login": {**one(), **SHARED, **LOGINS, **login},
    }
    outcomes = run_each(play, {name: ([role("preflight")], {**host(), **given}) for name, given in settings.items()})
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}


@on_one_core
def test_the_reason_of_a_failure(play: Play) -> None:
    variables = {"ansible.builtin.include_vars": str(ROOT / "roles/job_images/vars/main.yml")}
    many = "Error building a - code: 1, message: no, logs: [" + ", ".join(f"'line {n}'" for n in range(20)) + "]"
    failed = {"builder": {"msg": many}, "push": {"msg": "Error pushing image a: no route"}, "none": {}}
    failed["tar"] = {"stderr": "tar: no space\n", "msg": "non-zero return code"}
    cases: dict[str, Any] = {
        name: (
            [variables, show("_job_images_failure")],
            {"ansible_failed_result": result, "ansible_failed_task": {"name": "Build"}},
        )
        for name, result in failed.items()
    }
    found = {name: outcome.value for name, outcome in run_each(play, cases).items()}
    assert found == {
        "builder": "\n".join(["Error building a - code: 1, message: no", *(f"line {n}" for n in range(12, 20))]),
        "push": "Error pushing image a: no route",
        "none": "Build",
        "tar": "tar: no space\n",
    }


PULLED: dict[str, tuple[dict[str, Any], list[bool]]] = {
    "it is there": ({"image": {"Config": {"Labels": {LABEL: "abc"}}}}, [False, True]),
    "an older one": ({"image": {"Config": {"Labels": {LABEL: "old"}}}}, [False, False]),
    "somebody's": ({"image": {"Config": {"Labels": None}}}, [False, False]),
    "none": ({"msg": "Error pulling a - manifest for a:1 not found: manifest unknown"}, [False, False]),
    "not for us": ({"msg": "pull access denied for a, repository does not exist"}, [False, False]),
    "no registry": ({"msg": "dial tcp: connection refused"}, [True, False]),
    "no trust": ({"msg": "x509: certificate signed by unknown authority"}, [True, False]),
    "it timed out": ({"msg": "async task did not complete within the requested time"}, [True, False]),
}


@on_one_core
def test_what_the_registry_says(play: Play) -> None:
    variables = {"ansible.builtin.include_vars": str(ROOT / "roles/job_images/vars/main.yml")}
    cases: dict[str, Any] = {
        name: (
            [variables, show("[_job_images_registry_fails, _job_images_is_pulled]")],
            {"_job_images_pulled": result, "_job_images_build": {"digest": "abc"}},
        )
        for name, (result, _expected) in PULLED.items()
    }
    found = {name: outcome.value for name, outcome in run_each(play, cases).items()}
    assert found == {name: expected for name, (_result, expected) in PULLED.items()}


def test_both_roles_name_the_same_login() -> None:
    ours = yaml.safe_load((ROOT / "roles/job_images/vars/main.yml").read_text())["_job_images_docker_config"]
    theirs = yaml.safe_load((ROOT / "roles/gitlab_runner/vars/main/registries.yml").read_text())
    directory = yaml.safe_load((ROOT / "roles/gitlab_runner/defaults/main.yml").read_text())["gitlab_runner_config_dir"]
    home = theirs["_gitlab_runner_registry_home"]
    assert theirs["_gitlab_runner_docker_config_directory"].endswith("/{{ _gitlab_runner_registry_home }}/.docker")
    assert ours == f"{{{{ gitlab_runner_config_dir | default('{directory}') }}}}/{home}/.docker"
