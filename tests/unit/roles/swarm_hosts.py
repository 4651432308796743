# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that answer every module with what a test gives them, the state of a swarm among it."""

from __future__ import annotations

import json
from typing import Any

from plays.play import Play

# The host is the last but one of ssh's arguments. One without an answer is unreachable.
SSH = """#!/bin/sh
for last; do host=$before before=$last; done
echo "$host" >>"{calls}"
[ -e "{answers}/$host" ] || exit 255
cat >/dev/null
cat "{answers}/$host"
"""
INACTIVE = {"LocalNodeState": "inactive", "NodeID": "", "ControlAvailable": False, "Error": ""}
GATHERED: dict[str, Any] = {
    "architecture": "arm64",
    "default_address": "10.0.0.9",
    "engine_error": "",
    "containers": {"gitlab-runner": None},
    "files": {"/etc/systemd/system/gitlab-runner.service.d/pifleet-ci.conf": None},
    "units": {"gitlab-runner.service": {"enabled": "", "active": "inactive"}},
    "services": [],
}


def worker(node_id: str) -> dict[str, Any]:
    remote = [{"NodeID": "n1", "Addr": "10.0.0.1:2377"}]
    return {**INACTIVE, "LocalNodeState": "active", "NodeID": node_id, "RemoteManagers": remote}


def manager(node_id: str, error: str = "") -> dict[str, Any]:
    return {**worker(node_id), "ControlAvailable": True, "NodeAddr": "10.0.0.1", "Error": error}


def node(node_id: str, role: str = "worker", state: str = "ready", **labels: str) -> dict[str, Any]:
    """As the manager lists it."""
    status = {"Reachability": "reachable" if state == "ready" else "unreachable", "Addr": f"{node_id}:2377"}
    return {
        "ID": node_id,
        "Spec": {"Role": role, "Labels": {key.replace("_host", "-host"): value for key, value in labels.items()}},
        "Description": {"Hostname": "raspberrypi"},
        "Status": {"State": state},
        **({"ManagerStatus": status} if role == "manager" else {}),
    }


def labels(host: str, **others: str) -> dict[str, str]:
    """What the role gives to each node."""
    return {"gitlab_runner": "true", "pifleet-host": host, "pifleet-labels": "gitlab_runner", **others}


def known(found: dict[str, Any], host: str) -> dict[str, Any]:
    """The node with the labels that the role gives to that host's."""
    return {**found, "Spec": {**found["Spec"], "Labels": labels(host)}}


class Swarm:
    """Runs a part of a role on hosts whose state is given."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.answers = play.directory / "answers"
        self.answers.mkdir()
        self.addresses: list[str] = []
        play.ssh.write_text(SSH.format(calls=play.calls, answers=self.answers))

    def answer(self, host: str, swarm: dict[str, Any] | None, *nodes: dict[str, Any], **more: Any) -> None:
        """Make the host answer. It lists the nodes if it is a manager; without a swarm state it has no engine."""
        manages = bool(swarm and swarm["ControlAvailable"] and not swarm["Error"])
        result = {
            "changed": False,
            "engine": swarm and {"version": "26.1.5", "swarm": swarm},
            "engine_error": "" if swarm else "Docker Engine does not answer at /x.",
            "packages": {},
            "docker_swarm_manager": manages,
            "nodes": nodes,
            "swarm_facts": {"JoinTokens": {"Worker": "SWMTKN-w", "Manager": "SWMTKN-m"}},
            **more,
        }
        (self.answers / host).write_text(json.dumps(result))

    def run(
        self, hosts: dict[str, Any], *arguments: str, role: str = "swarm", part: str = "apply", **variables: Any
    ) -> str:
        """Run it on hosts with these swarm states, and return what is said on one line."""
        inventory = [*hosts, *(name for name in ("pi-01", "pi-02", "pi-03", "pi-04") if name not in hosts)]
        gathered = {
            name: {"engine": {"swarm": swarm}, **GATHERED, "addresses": self.addresses} for name, swarm in hosts.items()
        }
        tasks = [
            {"ansible.builtin.set_fact": {"pifleet_host": "{{ gathered[inventory_hostname] }}"}},
            {"ansible.builtin.include_role": {"name": f"pifleet.ci.{role}", "tasks_from": part}},
        ]
        plays = [{"hosts": ":".join(hosts), "tasks": tasks, "vars": {"gathered": gathered, **variables}}]
        done = self.play.run_plays(plays, *arguments, hosts=inventory)
        return " ".join((done.stdout + done.stderr).split())

    @property
    def asked(self) -> list[str]:
        """The hosts on which a module was executed, in order."""
        return self.play.calls.read_text().split()
