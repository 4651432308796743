# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_container_options: when the container is another one, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core, on_one_core
from plays.play import ROOT, Play
from test_package import CONTAINER, all_refused, decided, host

pytestmark = pytest.mark.slow

LABEL = "ci.pifleet.container-options"
OPTIONS = {"env": {"NO_PROXY": "localhost", "HTTPS_PROXY": "http://me:secret@proxy:3128"}, "memory": "256M"}
METRICS = {"published_ports": ["127.0.0.1:9252:9252"]}
SERVICE = {"gitlab_runner_deployment": "service", "gitlab_runner_swarm_managers": ["pi-01"]}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def decisions(play: Play, labels: dict[str, str], *names: str, **options: Any) -> list[Any]:
    container = {**CONTAINER, "labels": labels}
    gathered = host(containers={"gitlab-runner": container})
    return decided(play, gathered, *names, gitlab_runner_deployment="container", **options)


def test_the_container_is_another_one_with_other_options(play: Play) -> None:
    names = ("run_differs", "disrupts", "container_labels")
    [differs, disrupts, labels] = decisions(play, {}, *names, gitlab_runner_container_options=OPTIONS)
    assert (differs, disrupts) == (True, True)
    assert list(labels) == [LABEL]
    assert "secret" not in str(labels)
    reordered = {"memory": "256M", "env": dict(reversed(OPTIONS["env"].items()))}  # type: ignore[attr-defined]
    assert decisions(play, labels, *names, gitlab_runner_container_options=reordered) == [False, False, labels]
    other = {**OPTIONS, "memory": "512M"}
    assert decisions(play, labels, *names[:2], gitlab_runner_container_options=other) == [True, True]
    assert decisions(play, labels, *names) == [True, True, {}], "options that are not given any more"
    assert decisions(play, {"maintainer": "GitLab Inc."}, *names) == [False, False, {}]


@on_one_core
def test_a_result_that_may_have_a_secret_is_not_shown(play: Play) -> None:
    splunk = {"log_driver": "splunk", "log_options": {"splunk-token": "176FCEBF"}}
    for options, expected in (({}, False), ({"memory": "256M"}, False), (OPTIONS, True), (splunk, True)):
        found = decisions(play, {}, "container_may_have_secrets", gitlab_runner_container_options=options)
        assert found == [expected]
    tasks = ROOT / "roles" / "gitlab_runner" / "tasks"
    for name in ("container", "service"):
        assert 'no_log: "{{ _gitlab_runner_container_may_have_secrets }}"' in (tasks / f"{name}.yml").read_text()


@on_one_core
def test_more_mounts_are_added_to_those_of_the_role(play: Play) -> None:
    mounts = [
        {"source": "/srv/ca", "target": "/ca", "read_only": True},
        {"source": "data", "target": "/data", "type": "volume"},
    ]
    [found] = decisions(play, {}, "container_mounts", gitlab_runner_container_options={"mounts": mounts})
    assert [mount["target"] for mount in found] == ["/etc/gitlab-runner", "/var/run/docker.sock", "/ca", "/data"]
    assert found[2:] == [{"type": "bind", **mounts[0]}, mounts[1]]


@on_one_core
def test_the_ports_that_are_open_to_the_network(play: Play) -> None:
    ports = ["127.0.0.1:9252:9252", "[::1]:9252:9252", "9253:9252", "0.0.0.0:9254:9252", "192.0.2.1:9255:9252/tcp"]
    options = {"published_ports": ports}
    assert decisions(play, {}, "open_ports", gitlab_runner_container_options=options) == [ports[2:]]


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "package": (
        METRICS, {"gitlab_runner_deployment": "package"},
        "gitlab_runner_container_options has published_ports, but with gitlab_runner_deployment: package"
    ),
    "network_mode": ({"network_mode": "host"}, SERVICE, "network_mode is for containers"),
    "an address of a service": (METRICS, SERVICE, "each must be PORT:PORT, such as 9252:9252"),
    "one port": ({"published_ports": ["9252"]}, {}, "each must be ADDRESS:PORT:PORT or PORT:PORT"),
    "the directory of config.toml": (
        {"mounts": [{"source": "/srv", "target": "/etc/gitlab-runner/"}]}, {},
        "mounts has /etc/gitlab-runner, which the role itself mounts"
    ),
    "metrics that nobody reaches": (
        METRICS, {"gitlab_runner_global": {"listen_address": "localhost:9252"}},
        "listen_address of gitlab_runner_global is localhost:9252, an address inside of the container"
    ),
    "environment that is no string": (
        {"env": {"HTTPS_PROXY": "http://proxy:3128", "TRACE": True, "PORT": 1}}, {},
        "gitlab_runner_container_options.env takes strings only, so write the value with quotes: PORT, TRACE"
    ),
    "a string in place of a list": (
        {"dns_servers": "192.0.2.1"}, {},
        "gitlab_runner_container_options.dns_servers must be a list also where it has one element"
    ),
    "options of no logging driver": (
        {"log_options": {"max-file": "2"}}, SERVICE,
        "gitlab_runner_container_options has log_options, which are those of a log_driver"
    ),
    "an option that does not exist": ({"memroy": "256M"}, {}, "memroy"),
}  # fmt: skip


def test_one_sentence_before_anything_is_touched(play: Play) -> None:
    cases = {
        name: {"gitlab_runner_deployment": "container", "gitlab_runner_container_options": options, **variables}
        for name, (options, variables, _sentence) in REFUSED.items()
    }
    sentences = {name: [sentence] for name, (*_case, sentence) in REFUSED.items()}
    all_refused(play, {name: (host(), options) for name, options in cases.items()}, sentences)
