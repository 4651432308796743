# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: site.yml on bare Pis, a job on each kind of runner, and a second run that changes nothing."""

from __future__ import annotations

import textwrap
import time
from typing import Any

from .fleet import Lab
from .host import LabError, print_table

_GREETING = ["uname -sm", 'echo "a container of its own, on $CI_RUNNER_DESCRIPTION"']
_BUILD = [
    "mkdir context && echo 'built on a Pi' > context/greeting",
    "printf 'FROM scratch\\nCOPY greeting /greeting\\n' > context/Dockerfile",
    "docker build -q -t greeting:demo context",
    "docker image inspect -f '{{.RepoTags}} {{.Size}} bytes' greeting:demo",
]


def demo(name: str) -> None:
    """Run the demo on the lab of that name. Raises LabError when a step fails."""
    lab = Lab(name, [])
    pis = sorted(lab.addresses)
    _title(f"1. site.yml on {len(pis)} bare Pis")
    started = time.monotonic()
    _require(lab.play(show=True, playbook="playbooks/site.yml").code == 0, "site.yml failed, see above")
    first = time.monotonic() - started

    _title("2. a job for each kind of runner")
    _run_job(lab, "docker", pis[-1], _GREETING)
    _run_job(lab, "docker-build", pis[0], _BUILD)

    _title("3. site.yml again")
    lab.gitlab.call("DELETE", "/journal")
    started = time.monotonic()
    again = lab.play(show=True, playbook="playbooks/site.yml")
    second = time.monotonic() - started
    changed = {host: numbers["changed"] for host, numbers in again.recap.items()}
    writes = lab.gitlab.writes()
    _require(again.code == 0 and set(changed.values()) == {0}, f"the second run changed something: {changed}")
    _require(not writes, f"the second run sent write requests to GitLab: {writes}")
    executions = {pi: sum(entry["host"] == lab.addresses[pi] for entry in again.executions) for pi in pis}
    print("\nchanged=0 on every Pi; no write request to GitLab;")
    print(f"at most {max(executions.values())} module executions on a Pi;")
    print(f"{first:.0f} s the first time, {second:.0f} s the second")

    _title("The fleet")
    print_table(
        ["Pi", "architecture", "engine", "swarm role", "runner", "id", "status", "last contact"], _fleet_rows(lab, pis)
    )
    print(
        textwrap.dedent(f"""
        Where to look:  {lab.gitlab.url}/   (runners and jobs; its CA is .lab/{name}/tls/ca.crt)
                        ssh -i .lab/{name}/id_ed25519 pi@{lab.addresses[pis[0]]}   (sudo asks: raspberry)
                        .lab/{name}/inventory, molecule/fleet   (the inventory of this fleet)
        Clean up with:  make clean""")
    )


def _run_job(lab: Lab, kind: str, pi: str, script: list[str]) -> None:
    print(f"\nqueued for the tags {kind}, {pi}:", *script, sep="\n  $ ", flush=True)
    job = lab.gitlab.run_job(script=script, tag_list=[kind, pi], name=kind)
    print(textwrap.indent(job["trace"].strip(), "  | "))
    _require(job["status"] == "success", f"the job for {kind} finished as {job['status']} ({job['failure_reason']})")


def _fleet_rows(lab: Lab, pis: list[str]) -> list[list[str]]:
    rows = []
    runners: list[dict[str, Any]] = lab.gitlab.runners()
    for pi in pis:
        engine = lab.ssh(pi, "docker version -f '{{.Server.Version}}'")
        swarm = lab.ssh(pi, "docker info -f '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}'")
        role = {"active true": "manager", "active false": "worker"}.get(swarm, "-")
        facts = [pi, lab.ssh(pi, "dpkg --print-architecture"), engine, role]
        system_id = lab.ssh(pi, "cat /etc/gitlab-runner/.runner_system_id")
        for runner in runners:
            for manager in runner["managers"]:
                if manager["system_id"] == system_id:
                    contact = str(manager["contacted_at"])[11:19]
                    rows.append([*facts, runner["description"], str(runner["id"]), manager["status"], contact])
                    facts = [""] * len(facts)
    return rows


def _title(text: str) -> None:
    print(f"\n=== {text} ===\n", flush=True)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise LabError(message)
