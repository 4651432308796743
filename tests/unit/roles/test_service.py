# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of the swarm: which manager is asked, and that a play of some hosts leaves that of the others alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core
from plays.play import ROOT, Play
from swarm_hosts import GATHERED, INACTIVE, Swarm, manager, worker

pytestmark = pytest.mark.slow

SERVICE: dict[str, Any] = {
    "role": "gitlab_runner",
    "part": "service",
    "gitlab_runner_deployment": "service",
    "gitlab_runner_swarm_managers": ["pi-01", "pi-02"],
    "swarm_workers": ["pi-03"],
    "_gitlab_runner_registered": {"config_differs": True},
    "_gitlab_runner_configured": {"takes_effect": "now"},
}
ALL = {"pi-01": manager("n1"), "pi-02": manager("n2"), "pi-03": worker("n3")}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


@pytest.fixture
def swarm(play: Play) -> Swarm:
    return Swarm(play)


def test_a_whole_play_configures_the_service(swarm: Swarm) -> None:
    swarm.answer("pi-01", manager("n1"), changed=True, changes=["image"])
    output = swarm.run(ALL, **SERVICE)
    assert "changed: [pi-01" in output
    assert swarm.asked == ["pi-01"] * 2, "changed, waited for"


def test_a_service_that_the_swarm_stops_updating_is_an_error(swarm: Swarm) -> None:
    swarm.answer("pi-01", manager("n1"), changed=True, changes=["image"], stdout="paused: task x exited")
    output = swarm.run(ALL, **SERVICE)
    assert "has not updated the service on all nodes and goes no further, it is paused: task x exited" in output


def test_a_part_of_the_fleet_leaves_the_service_as_it_is(swarm: Swarm) -> None:
    swarm.answer("pi-02", manager("n2"), changed=True, changes=["image", "mounts"], services=["gitlab-runner"])
    output = swarm.run({"pi-03": worker("n3")}, **SERVICE)
    assert (
        "The service of the swarm differs in image, mounts. It stays as it is, because pi-01, pi-02 is not in" in output
    )
    assert 'ok: [pi-03 -> pi-02] => {"changed": false' in output, output
    assert swarm.asked == ["pi-01", "pi-02", "pi-02"], "the next manager is asked, and compares"


def test_an_upgrade_of_a_part_of_the_fleet_asks_the_first_manager_that_answers(swarm: Swarm) -> None:
    swarm.answer("pi-02", manager("n2"), rc=0, stdout="task1\ntask2\ntask3")
    images = {"wanted_name": "runner:2", "running_name": "runner:1"}
    service = {"gitlab_runner_deployment": "service"}
    facts = {"gitlab_runner_outdated": True, "_gitlab_runner_images_found": images, **service}
    output = swarm.run({"pi-03": worker("n3")}, "-e", json.dumps(facts), **{**SERVICE, "part": "upgrade_service"})
    assert "The service has 3 tasks, and this play has 1 hosts: run it without --limit" in output
    assert swarm.asked == ["pi-01", "pi-02", "pi-02"]


def test_the_log_is_said_also_without_a_manager(swarm: Swarm) -> None:
    swarm.answer("pi-03", worker("n3"), rc=0, stdout="Checking for jobs... forbidden")
    output = swarm.run({"pi-03": worker("n3")}, **{**SERVICE, "part": "fail_with_log"})
    assert "pi-03: GitLab Runner does not keep running.\\nChecking for jobs... forbidden" in output
    assert "unreachable=1" not in output


def test_a_part_of_the_fleet_creates_a_service_that_is_missing(swarm: Swarm) -> None:
    swarm.answer("pi-01", manager("n1"), changed=True, changes=[])
    output = swarm.run({"pi-03": worker("n3")}, **SERVICE)
    assert "failed=0" in output, output
    assert "changed: [pi-03 -> pi-01] =>" in output.partition("Run GitLab Runner as a service")[2]
    assert swarm.asked == ["pi-01"] * 3, "asked, created, waited for"


def test_the_hosts_go_on_without_a_manager(swarm: Swarm) -> None:
    output = swarm.run({"pi-03": worker("n3")}, **SERVICE)
    assert "failed=0" in output, output
    assert swarm.asked == ["pi-01", "pi-02"]


def test_a_manager_without_a_majority_is_passed_over(swarm: Swarm) -> None:
    swarm.answer("pi-02", manager("n2"), changes=[])
    hosts = {**ALL, "pi-01": manager("n1", "The swarm does not have a leader")}
    output = swarm.run(hosts, **SERVICE)
    assert "failed=0" in output, output
    assert swarm.asked == ["pi-02"]


def test_no_container_beside_the_service_that_stays(swarm: Swarm) -> None:
    swarm.answer("pi-03", worker("n3"), rc=0, stdout="0123456789ab")
    output = swarm.run({"pi-03": worker("n3")}, **{**SERVICE, "part": "container"})
    assert (
        "pi-03 cannot run GitLab Runner by itself beside the service, which stays because pi-01, pi-02 is not in"
        in output
    )
    assert swarm.asked == ["pi-03"]


def test_hosts_have_to_agree_on_the_service(swarm: Swarm) -> None:
    container = {"gitlab_runner_container_options": {"env": {"HTTPS_PROXY": "http://me:secret@proxy"}}}
    own = {
        "pi-01": {"gitlab_runner_image": "runner:2"}, "pi-02": container, "pi-03": {"gitlab_runner_stop_timeout": 60},
    }  # fmt: skip
    inventory = {
        "all": {"vars": {"gitlab_runner_deployment": "service"}, "hosts": {name: own.get(name, {}) for name in ALL}}
    }
    (swarm.play.directory / "hosts.json").write_text(json.dumps(inventory))
    variables = {"gitlab_runner_url": "https://gitlab.example.com", "gitlab_runner_runners": [], "swarm_workers": []}
    output = swarm.run(
        dict.fromkeys(ALL, INACTIVE), "-i", "hosts.json", role="gitlab_runner", part="preflight",
        gitlab_runner_swarm_managers=["pi-01"], **variables,
    )  # fmt: skip
    assert (
        "gitlab_runner_image is not set on pi-02, pi-03 and runner:2 on pi-01, but the swarm has one service" in output
    )
    assert "gitlab_runner_stop_timeout is 60 on pi-03 and 7200 on pi-01, pi-02" in output
    assert "gitlab_runner_container_options is variant 1 on pi-02 and variant 2 on pi-01, pi-03" in output
    assert "secret" not in output
    assert "failed=1" in output
    assert swarm.asked == []


@pytest.mark.parametrize("hosts", [["pi-01", "pi-02", "pi-03"], ["pi-03", "pi-01", "pi-02"]], ids=" ".join)
def test_the_service_is_removed_whichever_host_comes_first(
    swarm: Swarm, monkeypatch: pytest.MonkeyPatch, hosts: list[str]
) -> None:
    monkeypatch.setitem(GATHERED, "services", ["gitlab-runner"])
    for host in hosts:
        swarm.answer(host, ALL[host], changed=True, rc=0, stdout="")
    output = swarm.run(
        {host: ALL[host] for host in hosts},
        "-e", "_gitlab_runner_drain_limit=0",
        **{**SERVICE, "part": "remove_service", "gitlab_runner_deployment": "container"},
    )  # fmt: skip
    said = output.partition(": Remove the service]")[2].partition("TASK [")[0]
    assert "changed: [" in said, output


def test_a_host_that_has_the_service_speaks_for_it(swarm: Swarm) -> None:
    service = {"gitlab_runner_deployment": "service"}
    inventory = {"all": {"hosts": {"pi-01": {}, "pi-02": service, "pi-03": service}}}
    hosts = swarm.play.directory / "hosts.json"
    hosts.write_text(json.dumps(inventory))
    gathered = {name: {"engine": {"swarm": state}, **GATHERED} for name, state in ALL.items()}
    variables = {
        "gathered": gathered, "pifleet_host": "{{ gathered[inventory_hostname] }}", "swarm_workers": [],
        "gitlab_runner_swarm_managers": ["pi-01"],
    }  # fmt: skip
    tasks = [
        {"ansible.builtin.include_vars": {"dir": str(ROOT / "roles" / "gitlab_runner" / "vars" / "main")}},
        {"ansible.builtin.debug": {"msg": "{{ _gitlab_runner_service_host }} for {{ _gitlab_runner_swarm_manager }}"}},
    ]
    done = swarm.play.run_plays([{"hosts": "all", "vars": variables, "tasks": tasks}], hosts=hosts)
    assert done.stdout.count('"msg": "pi-02 for pi-01"') == len(ALL), done.stdout
