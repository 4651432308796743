# SPDX-License-Identifier: GPL-3.0-or-later
"""drain.yml and resume.yml: GitLab Runner stops after its jobs and starts again as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drawing import takes
from lab.fleet import GitLab, Lab, Play
from testinfra.host import Host

PI = "pi-01"
RUNNING = "docker ps --quiet --filter name=gitlab-runner"


@pytest.fixture
def playbook(tmp_path: Path) -> Path:
    """Runs the task files of the role that the variable `parts` names."""
    include = {"name": "pifleet.ci.gitlab_runner", "tasks_from": "{{ item }}"}
    tasks = [{"ansible.builtin.include_role": include, "loop": "{{ parts }}"}]
    path = tmp_path / "play.yml"
    path.write_text(json.dumps([{"hosts": "pis", "gather_facts": False, "become": True, "tasks": tasks}]))
    return path


def run(lab: Lab, playbook: Path, *parts: str, more: tuple[str, ...] = ()) -> Play:
    variables = json.dumps({"parts": parts})
    play = lab.play("--limit", PI, "-e", variables, *more, playbook=str(playbook))
    assert play.code == 0, play.output
    return play


@takes(50)
def test_jobs_end_before_the_stop_and_start_after_it(
    lab: Lab, gitlab: GitLab, pis: dict[str, Host], playbook: Path
) -> None:
    number = gitlab.call("POST", "/jobs", script=["sleep 12", "echo ended"], tag_list=[PI, "docker"])["id"]
    gitlab.wait_for_job(number, ["running"], timeout=20)
    run(lab, playbook, "drain", "resume", more=("--check",))
    assert pis[PI].check_output(RUNNING)

    run(lab, playbook, "drain")
    job = gitlab.call("GET", f"/jobs/{number}")
    assert (job["status"], "ended" in job["trace"]) == ("success", True), job["trace"]
    assert pis[PI].check_output(RUNNING) == ""
    assert run(lab, playbook, "drain", "resume").recap[PI]["changed"] == 0, "nothing runs, so there is nothing to do"

    assert lab.play("--limit", PI).code == 0
    assert lab.play("--limit", PI).recap[PI]["changed"] == 0
    before = pis[PI].check_output(RUNNING)
    assert run(lab, playbook, "drain", "resume").recap[PI]["changed"] > 0
    assert gitlab.run_job(script=["true"], tag_list=[PI, "docker"])["status"] == "success"
    assert lab.play("--limit", PI).recap[PI]["changed"] == 0
    if lab.inventories[1].parent.name == "default":
        assert pis[PI].check_output(RUNNING) == before, "the container is the same"
