# SPDX-License-Identifier: GPL-3.0-or-later
"""Three managers and two workers: managers die and come back, roles move, and there is one swarm all the time.

The tests follow each other on one lab of five Pis, and each leaves the swarm whole.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lab.fleet import Lab, Play, eventually
from lab.host import ROOT, docker

pytestmark = pytest.mark.timeout(1800)

INVENTORY = Path(__file__).with_name("inventory")
MANAGERS = ["pi-01", "pi-02", "pi-03"]
WORKERS = ["pi-04", "pi-05"]
LABELS = {"gitlab_runner": "true", "rack": "a"}


@pytest.fixture(scope="module")
def lab() -> Lab:
    return lab_of_five()


def lab_of_five() -> Lab:
    return Lab(os.environ["PIFLEET_LAB"], [INVENTORY])


@pytest.fixture(scope="module")
def swarm_id(lab: Lab) -> str:
    """The swarm that there is, and that there shall be at the end."""
    play = lab.play()
    assert play.code == 0, play.output
    return cluster(lab, "pi-01")


@pytest.fixture(autouse=True)
def one_whole_swarm(lab: Lab, swarm_id: str) -> Iterator[None]:
    yield
    assert {cluster(lab_of_five(), name) for name in MANAGERS} == {swarm_id}
    assert roles(lab_of_five(), "pi-02") == {"manager": 3, "worker": 2}


def cluster(lab: Lab, manager: str) -> str:
    return lab.ssh(manager, "docker info -f '{{.Swarm.Cluster.ID}}'")


def nodes(lab: Lab, manager: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(lab.ssh(manager, "docker node inspect $(docker node ls -q)"))
    return found


def roles(lab: Lab, manager: str) -> dict[str, int]:
    """How many nodes have which role; all of them have to be ready, and all managers reachable."""
    counts = {"manager": 0, "worker": 0}
    for node in nodes(lab, manager):
        assert node["Status"]["State"] == "ready", node
        assert node.get("ManagerStatus", {}).get("Reachability", "reachable") == "reachable", node
        counts[node["Spec"]["Role"]] += 1
    return counts


def labels(lab: Lab, name: str) -> dict[str, str]:
    node_id = lab.ssh(name, "docker info -f '{{.Swarm.NodeID}}'")
    [found] = [node["Spec"]["Labels"] for node in nodes(lab, "pi-02") if node["ID"] == node_id]
    return dict(found)


def played(lab: Lab, *arguments: str, **lists: Any) -> Play:
    play = lab.play(*arguments, *(("-e", json.dumps(lists)) if lists else ()))
    assert play.code == 0, play.output
    return play


@contextmanager
def unreachable(tmp_path: Path, *names: str) -> Iterator[list[str]]:
    """Arguments with which these Pis cannot be reached."""
    path = tmp_path / "moved.ini"
    path.write_text("[pis]\n" + "".join(f"{name} ansible_port=1\n" for name in names))
    yield ["-i", str(path)]


def test_a_second_run_changes_nothing_and_keeps_what_others_have_set(lab: Lab) -> None:
    settings = "docker info -f '{{json .Swarm.Cluster.Spec}}'"
    lab.ssh("pi-02", "docker swarm update --autolock=true --cert-expiry 720h")
    before = lab.ssh("pi-02", settings)
    play = played(lab)
    assert {host: numbers["changed"] for host, numbers in play.recap.items()} == dict.fromkeys(lab.addresses, 0)
    assert lab.ssh("pi-02", settings) == before
    assert '"AutoLockManagers":true' in before
    lab.ssh("pi-02", "docker swarm update --autolock=false")


def test_a_label_leaves_with_its_setting(lab: Lab) -> None:
    node_id = lab.ssh("pi-04", "docker info -f '{{.Swarm.NodeID}}'")
    lab.ssh("pi-02", f"docker node update --label-add theirs=x {node_id}")
    played(lab, "--limit", "pi-04", swarm_node_labels=LABELS)
    assert labels(lab, "pi-04").items() >= {**LABELS, "theirs": "x"}.items()
    played(lab, "--limit", "pi-04")
    assert "rack" not in labels(lab, "pi-04")
    assert labels(lab, "pi-04").items() >= {"gitlab_runner": "true", "theirs": "x"}.items()


def test_a_part_of_the_fleet_leaves_the_service_alone(lab: Lab) -> None:
    inspect = "docker service inspect gitlab-runner"
    before = lab.ssh("pi-02", inspect)
    play = played(lab, "--limit", "pi-04", gitlab_runner_stop_timeout=77)
    assert "The service of the swarm differs in" in " ".join(play.output.split())
    assert lab.ssh("pi-02", inspect) == before


def test_managers_are_exchanged(lab: Lab) -> None:
    played(lab, swarm_managers=["pi-01", "pi-02", "pi-04"], swarm_workers=["pi-03", "pi-05"])
    assert roles(lab, "pi-04") == {"manager": 3, "worker": 2}
    played(lab)


def test_a_worker_waits_for_its_managers_after_a_power_cut(lab: Lab) -> None:
    for name in MANAGERS:
        lab.ssh(name, "systemctl stop docker.socket docker.service")
    lab.ssh("pi-05", "systemctl restart docker")
    assert lab.ssh("pi-05", "docker info -f '{{.Swarm.LocalNodeState}}'") == "pending"
    later = "systemd-run --on-active=40 systemctl start docker.socket docker.service"
    for name in MANAGERS:
        lab.ssh(name, later)
    play = played(lab, "--limit", "pi-05")
    assert "FAILED - RETRYING" in play.output
    eventually(lambda: roles(lab, "pi-02") == {"manager": 3, "worker": 2})


def test_no_second_swarm(lab: Lab, tmp_path: Path) -> None:
    """pi-01 has lost its node, as on a new card, and the other managers cannot be asked."""
    lab.ssh("pi-01", "docker swarm leave --force")
    with unreachable(tmp_path, "pi-02", "pi-03") as moved:
        play = lab.play("--limit", "pi-01", *moved)
    output = " ".join(play.output.split())
    assert play.code != 0
    assert "pi-01 is in no swarm, and whether there is one is not known because of" in output
    assert "pi-02 (it cannot be reached), pi-03 (it cannot be reached)" in output
    assert lab.ssh("pi-01", "docker info -f '{{.Swarm.LocalNodeState}}'") == "inactive"
    eventually(lambda: [node for node in nodes(lab, "pi-02") if node["Status"]["State"] == "down"] != [])
    played(lab, "--limit", "pi-01")


def test_a_worker_moves_between_swarms_only_when_told(lab: Lab) -> None:
    lab.ssh("pi-05", "docker swarm leave --force && docker swarm init")
    other = cluster(lab, "pi-05")
    play = lab.play("--limit", "pi-05")
    assert "pi-05 is in another swarm" in " ".join(play.output.split())
    assert (play.code != 0, cluster(lab, "pi-05")) == (True, other)
    lab.ssh("pi-05", "docker swarm leave --force")
    eventually(lambda: [node for node in nodes(lab, "pi-02") if node["Status"]["State"] == "down"] != [])
    played(lab, "--limit", "pi-05")


def test_a_manager_dies_is_flashed_anew_and_comes_back(lab: Lab) -> None:
    """The first one in the lists; meanwhile the others serve."""
    container = f"pifleet-{lab.folder.name}-pi-01"
    address, board = lab.addresses["pi-01"], lab.ssh("pi-01", "cat /etc/machine-id")
    docker("rm", "-f", "-v", container)
    eventually(lambda: [node for node in nodes(lab, "pi-02") if node["Status"]["State"] == "down"] != [], 90)
    assert played(lab, "--limit", "pi-04").recap["pi-04"]["changed"] == 0

    subprocess.run(["ssh-keygen", "-R", address, "-f", str(lab.folder / "known_hosts")], check=True)
    up = [sys.executable, "-m", "lab", "up", lab.folder.name, "--pis", "5"]
    subprocess.run(up, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": "molecule"})
    lab_of_five().ssh("pi-01", f"echo {board} >/etc/machine-id")
    played(lab_of_five(), "--limit", "pi-01")
    assert played(lab_of_five()).recap["pi-01"]["changed"] == 0
