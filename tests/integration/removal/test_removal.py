# SPDX-License-Identifier: GPL-3.0-or-later
"""remove.yml: a Pi leaves nothing of ours behind, in the swarm, in GitLab or on its card, and the others go on."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from lab.fleet import GitLab, Lab, Play
from testinfra.host import Host

PI = "pi-03"
CONFIG = "/etc/gitlab-runner/config.toml"
SYSTEM_ID = "/etc/gitlab-runner/.runner_system_id"


def remove(lab: Lab) -> Play:
    play = lab.play("-e", f"pifleet_hosts={PI}", playbook="pifleet.ci.remove")
    assert play.code == 0, play.output
    return play


def containers_of_the_others(pis: dict[str, Host]) -> dict[str, str]:
    """What runs on the Pis that stay, and since when."""
    command = "docker ps -q --no-trunc | xargs docker inspect -f '{{.Name}} {{.State.StartedAt}}' | sort"
    return {name: pi.check_output(command) for name, pi in pis.items() if name != PI}


def nodes(pis: dict[str, Host]) -> list[str]:
    """The nodes that the swarm's manager knows, also those that are down."""
    return pis["pi-01"].check_output("docker node ls -q").split()


def portraits(gitlab: GitLab) -> dict[int, dict[str, Any]]:
    """The runners by id, without what goes on by itself while they are in contact."""
    kept = ("description", "maintenance_note", "tag_list", "paused", "created_at")
    return {runner["id"]: {name: runner[name] for name in kept} for runner in gitlab.runners()}


@pytest.fixture(scope="module")
def strangers_runner(gitlab: GitLab, pis: dict[str, Host]) -> Iterator[int]:
    """A runner that somebody else has registered on the Pi by hand."""
    made = gitlab.call("POST", "/runners", runner_type="project_type", project_id=42, description="by hand")
    entry = f'\n[[runners]]\nname = "mine"\nurl = "https://gitlab.lab"\nid = {made["id"]}\ntoken = "{made["token"]}"\n'
    pis[PI].check_output(f"printf '%%s' %s >> {CONFIG}", f'{entry}executor = "shell"\n')
    yield made["id"]
    gitlab.call("DELETE", f"/runners/{made['id']}")


def test_a_pi_leaves_and_comes_back(lab: Lab, gitlab: GitLab, pis: dict[str, Host], strangers_runner: int) -> None:
    system_id = pis[PI].check_output(f"cat {SYSTEM_ID}")
    its = {
        runner["id"]
        for runner in gitlab.runners()
        if system_id in [manager["system_id"] for manager in runner["managers"]]
    }
    assert len(its) == 2
    node_id = pis[PI].check_output("docker info -f '{{.Swarm.NodeID}}'")
    assert node_id in nodes(pis)
    before, running = portraits(gitlab), containers_of_the_others(pis)

    remove(lab)
    assert portraits(gitlab) == {number: runner for number, runner in before.items() if number not in its}
    assert containers_of_the_others(pis) == running
    assert pis[PI].check_output("docker ps -q") == ""
    assert pis[PI].check_output("docker info -f '{{.Swarm.LocalNodeState}}'") == "inactive"
    assert node_id not in nodes(pis)
    assert [entry["name"] for entry in tomllib.loads(pis[PI].file(CONFIG).content_string)["runners"]] == ["mine"]

    assert remove(lab).recap[PI]["changed"] == 0
    pis[PI].check_output(f"sed -i '/runners/,$d' {CONFIG}")
    pis[PI].check_output("touch /etc/gitlab-runner/theirs")
    assert remove(lab).recap[PI]["changed"] > 0, "now that nobody's entry is left, our files go"
    assert pis[PI].check_output("find /etc/gitlab-runner -mindepth 1") == "/etc/gitlab-runner/theirs"
    pis[PI].check_output("rm /etc/gitlab-runner/theirs")
    assert remove(lab).recap[PI]["changed"] == 1, "and the directory when nothing is left in it"
    assert not pis[PI].file("/etc/gitlab-runner").exists
    assert remove(lab).recap[PI]["changed"] == 0

    assert lab.play().code == 0
    assert pis[PI].check_output(f"cat {SYSTEM_ID}") == system_id, "the same machine to GitLab"
    job = gitlab.run_job(script=["true"], tag_list=[PI, "docker"])
    assert job["status"] == "success", job["trace"]
    again = lab.play()
    assert {host: numbers["changed"] for host, numbers in again.recap.items()} == dict.fromkeys(pis, 0)
