# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario `swarm`: three nodes of one swarm, GitLab Runner as a global service on the labelled ones."""

from __future__ import annotations

import json

from integration.scenarios import only_in
from testinfra.host import Host

pytestmark = only_in("swarm")


def test_all_pis_are_nodes_of_one_swarm(pis: dict[str, Host]) -> None:
    node_ids = {pi.check_output("docker info -f '{{.Swarm.NodeID}}'") for pi in pis.values()}
    listed = pis["pi-01"].check_output("docker node ls -q").split()
    assert set(listed) == node_ids
    assert len(node_ids) == len(pis)
    states = pis["pi-01"].check_output("docker node ls --format '{{.Status}} {{.ManagerStatus}}'")
    assert sorted(line.strip() for line in states.splitlines()) == ["Ready", "Ready", "Ready Leader"]


def test_the_service_runs_a_task_on_each_node(pis: dict[str, Host]) -> None:
    manager = pis["pi-01"]
    services = manager.check_output("docker service ls --format '{{.Name}} {{.Mode}} {{.Replicas}}'").splitlines()
    assert services == ["gitlab-runner global 3/3"]
    tasks = manager.check_output("docker service ps -q --filter desired-state=running gitlab-runner").split()
    assert len(tasks) == len(pis)


def test_jobs_may_finish_when_a_task_is_stopped(pis: dict[str, Host]) -> None:
    spec = json.loads(pis["pi-01"].check_output("docker service inspect gitlab-runner"))[0]["Spec"]["TaskTemplate"]
    container = spec["ContainerSpec"]
    assert container["StopSignal"] == "SIGQUIT"
    assert container["StopGracePeriod"] >= 3600 * 10**9
    assert sorted(spec["Placement"]["Constraints"]) == [
        "engine.labels.pifleet.ci.disk_space != low",
        "node.labels.gitlab_runner == true",
    ]
