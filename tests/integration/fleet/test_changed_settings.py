# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes reach the running process, with a restart only where it needs one, and running jobs go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drawing import takes
from fake_gitlab import tls
from integration.scenarios import only_in
from lab.fleet import JOB_ENDS, GitLab, Lab, eventually
from testinfra.host import Host

PI = "pi-02"
SETTINGS = {"concurrent": 2, "check_interval": 2}


def started(pi: Host) -> str:
    """When the container of GitLab Runner on the Pi was started."""
    return pi.check_output("docker inspect -f '{{.State.StartedAt}}' $(docker ps -q --filter name=gitlab-runner)")


def running_job(gitlab: GitLab) -> int:
    number: int = gitlab.call("POST", "/jobs", script=["sleep 12", "echo ended"], tag_list=[PI, "docker"])["id"]
    gitlab.wait_for_job(number, ["running"], timeout=20)
    return number


@pytest.mark.parametrize(
    ("changes", "restarts"),
    [
        pytest.param({"concurrent": 3}, False, id="concurrent", marks=takes(25)),
        pytest.param({"listen_address": "127.0.0.1:9252"}, True, id="listen_address", marks=takes(40)),
    ],
)
def test_a_running_job_survives(
    lab: Lab, gitlab: GitLab, pis: dict[str, Host], changes: dict[str, Any], restarts: bool
) -> None:
    before = started(pis[PI])
    number = running_job(gitlab)
    play = lab.play("--limit", PI, "-e", json.dumps({"gitlab_runner_global": {**SETTINGS, **changes}}))
    assert play.code == 0, play.output
    assert play.recap[PI]["changed"] > 0
    job = gitlab.wait_for_job(number, JOB_ENDS)
    assert (job["status"], "ended" in job["trace"]) == ("success", True), job["trace"]
    assert (started(pis[PI]) != before) is restarts

    back = {**SETTINGS, **{name: None for name in changes if name not in SETTINGS}}
    assert lab.play("--limit", PI, "-e", json.dumps({"gitlab_runner_global": back})).code == 0
    assert lab.play("--limit", PI).recap[PI]["changed"] == 0


@takes(45)
def test_a_restart_that_a_play_did_not_come_to_is_made_up_for(lab: Lab, pis: dict[str, Host]) -> None:
    before = started(pis[PI])
    settings = json.dumps({"gitlab_runner_global": {**SETTINGS, "listen_address": "127.0.0.1:9252"}})
    dies_before_the_process_is_touched(lab, "-e", settings, broken={"_gitlab_runner_steps": [["missing.yml", [], []]]})
    assert started(pis[PI]) == before
    play = lab.play("--limit", PI, "-e", settings)
    assert (play.code, play.recap[PI]["changed"] > 0) == (0, True), play.output
    after = started(pis[PI])
    assert after != before
    assert lab.play("--limit", PI, "-e", settings).recap[PI]["changed"] == 0
    assert started(pis[PI]) == after

    back = {**SETTINGS, "listen_address": None}
    assert lab.play("--limit", PI, "-e", json.dumps({"gitlab_runner_global": back})).code == 0
    assert lab.play("--limit", PI).recap[PI]["changed"] == 0


@takes(20)
def test_a_ca_that_no_play_has_told_of_is_read(lab: Lab, pis: dict[str, Host]) -> None:
    before = started(pis[PI])
    pis[PI].check_output("for file in /etc/gitlab-runner/certs/*.crt; do echo >> $file; done")
    dies_before_the_process_is_touched(lab, broken={"_gitlab_runner_container_filter": "'"})
    count = loaded(pis[PI])
    play = lab.play("--limit", PI)
    assert (play.code, play.recap[PI]["changed"] > 0) == (0, True), play.output
    eventually(lambda: loaded(pis[PI]) > count)
    assert started(pis[PI]) == before
    assert lab.play("--limit", PI).recap[PI]["changed"] == 0


def dies_before_the_process_is_touched(lab: Lab, *arguments: str, broken: dict[str, Any]) -> None:
    """One thing is changed on the Pi then, and what comes next fails because of a variable that is broken."""
    play = lab.play("--limit", PI, *arguments, "-e", json.dumps(broken))
    assert (play.code != 0, play.recap[PI]["failed"], play.recap[PI]["changed"]) == (True, 1, 1), play.output


@only_in("default")
@takes(20)
def test_a_container_that_cannot_be_run_leaves_the_former_one_running(lab: Lab, pis: dict[str, Host]) -> None:
    play = lab.play("--limit", PI, "-e", json.dumps({"_gitlab_runner_mounts": [{}]}))
    assert play.code != 0
    assert f"{PI}: GitLab Runner cannot be run as declared" in " ".join(play.output.split())
    assert pis[PI].check_output("docker inspect -f '{{.State.Running}}' gitlab-runner") == "true"
    assert lab.play("--limit", PI).recap[PI]["changed"] == 0


def loaded(pi: Host) -> int:
    """How often GitLab Runner on the Pi says that it has loaded its configuration."""
    log = pi.check_output("docker logs $(docker ps -q --filter name=gitlab-runner) 2>&1")
    return log.count("Configuration loaded")


@takes(17)
def test_a_process_notices_although_the_clock_went_back(lab: Lab, pis: dict[str, Host]) -> None:
    # As on a Pi whose clock was ahead when the file was written last: what is written now looks older.
    before, count = started(pis[PI]), loaded(pis[PI])
    pis[PI].check_output("touch -d '+2 hours' /etc/gitlab-runner/config.toml")
    eventually(lambda: loaded(pis[PI]) > count)
    count = loaded(pis[PI])
    assert lab.play("--limit", PI, "-e", json.dumps({"gitlab_runner_global": {**SETTINGS, "concurrent": 3}})).code == 0
    eventually(lambda: loaded(pis[PI]) > count)
    assert started(pis[PI]) == before
    assert lab.play("--limit", PI).code == 0


@takes(16)
def test_a_corrected_ca_ends_the_rest_after_three_failures(
    lab: Lab, gitlab: GitLab, pis: dict[str, Host], tmp_path: Path
) -> None:
    before = started(pis[PI])
    tls.make(tmp_path, ["gitlab.elsewhere"])
    wrong = (tmp_path / "ca.crt").read_text()
    pis[PI].check_output("for file in /etc/gitlab-runner/certs/*.crt; do echo %s > $file; done", wrong)
    log = "docker logs --since 1m $(docker ps -q --filter name=gitlab-runner) 2>&1"
    eventually(lambda: "unhealthy" in pis[PI].check_output(log))
    play = lab.play("--limit", PI)
    assert play.code == 0, play.output
    assert (play.recap[PI]["changed"] > 0, started(pis[PI])) == (True, before)
    assert gitlab.run_job(script=["true"], tag_list=[PI, "docker"])["status"] == "success"
