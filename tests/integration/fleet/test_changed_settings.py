# SPDX-License-Identifier: GPL-3.0-or-later
"""Changed settings reach the running process, with a restart only where it needs one, and running jobs go on."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from lab.fleet import GitLab, Lab
from testinfra.host import Host

PI = "pi-02"
SETTINGS = {"concurrent": 2, "check_interval": 2}


def started(pi: Host) -> str:
    """When the container of GitLab Runner on the Pi was started."""
    return pi.check_output("docker inspect -f '{{.State.StartedAt}}' $(docker ps -q --filter name=gitlab-runner)")


def running_job(gitlab: GitLab) -> int:
    number: int = gitlab.call("POST", "/jobs", script=["sleep 12", "echo ended"], tag_list=[PI, "docker"])["id"]
    for _ in range(100):
        if gitlab.call("GET", f"/jobs/{number}")["status"] == "running":
            return number
        time.sleep(0.2)
    pytest.fail(f"nobody takes job {number}")


@pytest.mark.parametrize(
    ("changes", "restarts"),
    [
        pytest.param({"concurrent": 3}, False, id="concurrent"),
        pytest.param({"listen_address": "127.0.0.1:9252"}, True, id="listen_address"),
    ],
)
def test_a_running_job_survives(
    lab: Lab, gitlab: GitLab, pis: dict[str, Host], changes: dict[str, Any], restarts: bool
) -> None:
    before = started(pis[PI])
    number = running_job(gitlab)
    play = lab.play("-e", json.dumps({"gitlab_runner_global": {**SETTINGS, **changes}}))
    assert play.code == 0, play.output
    assert play.recap[PI]["changed"] > 0
    job = gitlab.call("GET", f"/jobs/{number}")
    while job["status"] == "running":
        time.sleep(0.5)
        job = gitlab.call("GET", f"/jobs/{number}")
    assert (job["status"], "ended" in job["trace"]) == ("success", True), job["trace"]
    assert (started(pis[PI]) != before) is restarts

    back = {**SETTINGS, **{name: None for name in changes if name not in SETTINGS}}
    assert lab.play("-e", json.dumps({"gitlab_runner_global": back})).code == 0
    again = lab.play()
    assert {host: numbers["changed"] for host, numbers in again.recap.items()} == dict.fromkeys(pis, 0)
