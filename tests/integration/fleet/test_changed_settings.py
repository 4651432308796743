# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes reach the running process, with a restart only where it needs one, and running jobs go on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fake_gitlab import tls
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


def loaded(pi: Host) -> int:
    """How often GitLab Runner on the Pi says that it has loaded its configuration."""
    log = pi.check_output("docker logs $(docker ps -q --filter name=gitlab-runner) 2>&1")
    return log.count("Configuration loaded")


def test_a_process_notices_although_the_clock_went_back(lab: Lab, pis: dict[str, Host]) -> None:
    # As on a Pi whose clock was ahead when the file was written last: what is written now looks older.
    before, count = started(pis[PI]), loaded(pis[PI])
    pis[PI].check_output("touch -d '+2 hours' /etc/gitlab-runner/config.toml")
    while loaded(pis[PI]) == count:
        time.sleep(0.5)
    count = loaded(pis[PI])
    assert lab.play("--limit", PI, "-e", json.dumps({"gitlab_runner_global": {**SETTINGS, "concurrent": 3}})).code == 0
    while loaded(pis[PI]) == count:
        time.sleep(0.5)
    assert started(pis[PI]) == before
    assert lab.play("--limit", PI).code == 0


def test_a_corrected_ca_ends_the_rest_after_three_failures(
    lab: Lab, gitlab: GitLab, pis: dict[str, Host], tmp_path: Path
) -> None:
    before = started(pis[PI])
    tls.make(tmp_path, ["gitlab.elsewhere"])
    wrong = (tmp_path / "ca.crt").read_text()
    pis[PI].check_output("for file in /etc/gitlab-runner/certs/*.crt; do echo %s > $file; done", wrong)
    log = "docker logs --since 1m $(docker ps -q --filter name=gitlab-runner) 2>&1"
    for _ in range(60):
        if "unhealthy" in pis[PI].check_output(log):
            break
        time.sleep(1)
    else:
        pytest.fail("the runner does not mind a wrong CA")
    play = lab.play("--limit", PI)
    assert play.code == 0, play.output
    assert (play.recap[PI]["changed"] > 0, started(pis[PI])) == (True, before)
    assert gitlab.finished_job(script=["true"], tag_list=[PI, "docker"])["status"] == "success"
