# SPDX-License-Identifier: GPL-3.0-or-later
"""remove.yml: a Pi leaves nothing of ours behind, in the swarm, in GitLab or on its card, and the others go on."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from drawing import takes
from lab.fleet import GitLab, Lab, Play, eventually
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


@takes(110)
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


def test_without_hosts_nothing_is_removed(lab: Lab, gitlab: GitLab) -> None:
    before = portraits(gitlab)
    for playbook in ("pifleet.ci.remove", "pifleet.ci.forget"):
        play = lab.play("--limit", PI, playbook=playbook)
        assert play.code != 0
        assert "Set pifleet_hosts to the hosts to" in play.output
    assert portraits(gitlab) == before


def test_a_pi_that_answers_is_not_forgotten(lab: Lab, gitlab: GitLab) -> None:
    before = portraits(gitlab)
    play = lab.play("-e", f"pifleet_hosts={PI}", playbook="pifleet.ci.forget")
    assert play.code != 0
    assert f"{PI} answers: use the playbook remove" in " ".join(play.output.split())
    assert portraits(gitlab) == before


@takes(55)
def test_a_pi_that_never_answers_again_is_forgotten(
    lab: Lab, gitlab: GitLab, pis: dict[str, Host], tmp_path: Path
) -> None:
    """Seen from the control node and from the swarm it is gone; it is flashed and comes back as a new one."""
    (tmp_path / "gone.ini").write_text(f"[pis]\n{PI} ansible_port=1\n")
    gone = ("-i", str(tmp_path / "gone.ini"), "-e", f"pifleet_hosts={PI}")
    system_id = pis[PI].check_output(f"cat {SYSTEM_ID}")
    its = {
        runner["id"]
        for runner in gitlab.runners()
        if system_id in [manager["system_id"] for manager in runner["managers"]]
    }
    node_id = pis[PI].check_output("docker info -f '{{.Swarm.NodeID}}'")
    before, running = portraits(gitlab), containers_of_the_others(pis)
    assert len(its) == 2

    unreachable = lab.play(*gone, playbook="pifleet.ci.remove")
    assert unreachable.code != 0
    assert f"{PI} could not be reached, and nothing of it was removed" in " ".join(unreachable.output.split())
    assert portraits(gitlab) == before
    early = lab.play(*gone, playbook="pifleet.ci.forget", **{"ANSIBLE_TIMEOUT": "5"})
    assert early.code != 0, "its engine still answers the swarm"

    pis[PI].check_output("systemctl stop docker.socket docker.service")
    state = f"docker node inspect -f '{{{{.Status.State}}}}' {node_id}"
    eventually(lambda: pis["pi-01"].check_output(state) == "down", 120)
    play = lab.play(*gone, playbook="pifleet.ci.forget")
    assert play.code == 0, play.output
    assert portraits(gitlab) == {number: runner for number, runner in before.items() if number not in its}
    assert node_id not in nodes(pis)
    assert lab.play(*gone, playbook="pifleet.ci.forget").recap[PI]["changed"] == 0
    assert containers_of_the_others(pis) == running

    pis[PI].check_output("systemctl start docker.service")
    pis[PI].check_output("docker swarm leave --force && rm -r /etc/gitlab-runner")
    assert lab.play().code == 0
    job = gitlab.run_job(script=["true"], tag_list=[PI, "docker"])
    assert job["status"] == "success", job["trace"]
