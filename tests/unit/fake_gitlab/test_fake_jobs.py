# SPDX-License-Identifier: GPL-3.0-or-later
"""The job endpoints as GitLab Runner uses them."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from fake_gitlab import Runner
from fake_gitlab.jobs import Job
from fake_gitlab_world import World

GRACEFUL = {"version": "19.4.0", "features": {"cancel_gracefully": True}}


def request_job(world: World, runner: Runner, **params: Any) -> requests.Response:
    return world.call("POST", "/jobs/request", token=runner.token, system_id="s_1", **params)


def started_job(world: World, **details: Any) -> Job:
    """A job that a runner has taken."""
    job = world.gitlab.add_job(world.project, ["true"], **details)
    assert request_job(world, world.runner(), info=GRACEFUL).status_code == 201
    return job


def append_trace(world: World, job: Job, start: int | None, text: bytes, token: str | None = None) -> requests.Response:
    headers = {"JOB-TOKEN": token or job.token, "Content-Type": "text/plain"}
    if start is not None:
        headers["Content-Range"] = f"{start}-{start + len(text) - 1}"
    address = f"{world.url}/api/v4/jobs/{job.id}/trace?debug_trace=false"
    return world.session.patch(address, data=text, headers=headers, timeout=5)


def update_job(world: World, job: Job, **params: Any) -> requests.Response:
    return world.call("PUT", f"/jobs/{job.id}", token=job.token, **params)


def test_the_queue_value_changes_with_the_queue(world: World) -> None:
    runner = world.runner()
    empty = request_job(world, runner)
    queue_value = empty.headers["X-GitLab-Last-Update"]
    assert (empty.status_code, empty.content) == (204, b"")
    assert request_job(world, runner, last_update=queue_value).headers["X-GitLab-Last-Update"] == queue_value
    world.gitlab.add_job(world.project, ["true"])
    assert request_job(world, runner, last_update=queue_value).status_code == 201


def test_the_job_response(world: World) -> None:
    runner = world.runner(maximum_timeout=600)
    job = world.gitlab.add_job(
        world.project, ["make"], after_script=["bye"], image="debian", services=["redis"], variables={"KEY": "value"}
    )
    data = request_job(world, runner).json()
    assert (data["id"], data["token"]) == (job.id, job.token)
    assert [(step["name"], step["script"], step["timeout"]) for step in data["steps"]] == [
        ("script", ["make"], 600),
        ("after_script", ["bye"], 600),
    ]
    assert (data["image"], data["services"]) == ({"name": "debian"}, [{"name": "redis"}])
    variables = {variable["key"]: variable["value"] for variable in data["variables"]}
    assert variables["GIT_STRATEGY"] == "none"
    assert (variables["KEY"], variables["CI_SERVER_URL"]) == ("value", world.url)
    assert (job.status, job.runner_id, job.system_id, runner.finished) == ("running", runner.id, "s_1", True)
    assert request_job(world, runner).status_code == 204


@pytest.mark.parametrize(
    ("runner", "job", "taken"),
    [
        ({}, {}, True),
        ({"tag_list": ["a", "b"]}, {"tag_list": ["a"]}, True),
        ({"tag_list": ["a"]}, {"tag_list": ["a", "b"]}, False),
        ({"tag_list": ["a"], "run_untagged": False}, {}, False),
        ({"tag_list": ["a"], "run_untagged": False}, {"tag_list": ["a"]}, True),
        ({"paused": True}, {}, False),
        ({"access_level": "ref_protected"}, {}, False),
        ({"access_level": "ref_protected"}, {"protected": True}, True),
        ({}, {"only_runner_id": 4711}, False),
    ],
)
def test_which_runner_picks_which_job(world: World, runner: dict[str, Any], job: dict[str, Any], taken: bool) -> None:
    world.gitlab.add_job(world.project, ["true"], **job)
    assert request_job(world, world.runner(**runner)).status_code == (201 if taken else 204)


def test_runners_pick_jobs_of_their_projects(world: World) -> None:
    elsewhere = world.gitlab.add_project("elsewhere")
    world.gitlab.add_job(elsewhere, ["true"])
    assert request_job(world, world.runner()).status_code == 204
    assert request_job(world, world.gitlab.create_runner("group_type", owner=world.group)).status_code == 204
    assert request_job(world, world.gitlab.create_runner("instance_type")).status_code == 201
    world.gitlab.add_job(world.project, ["true"])
    assert request_job(world, world.gitlab.create_runner("group_type", owner=world.group)).status_code == 201


def test_an_unknown_token_is_403(world: World) -> None:
    reply = world.call("POST", "/jobs/request", token="glrt-unknown")
    assert (reply.status_code, reply.json()) == (403, {"message": "403 Forbidden"})


def test_the_trace_is_appended_at_its_end(world: World) -> None:
    job = started_job(world)
    first = append_trace(world, job, 0, b"hello ")
    assert (first.status_code, first.headers["Range"], first.headers["Job-Status"]) == (202, "0-6", "running")
    assert "X-GitLab-Trace-Update-Interval" in first.headers
    assert append_trace(world, job, 0, b"hello ").status_code == 202
    for start in (2, 9):
        wrong = append_trace(world, job, start, b"world!")
        assert (wrong.status_code, wrong.headers["Range"]) == (416, "0-6")
    assert append_trace(world, job, 6, b"world").status_code == 202
    assert job.log == "hello world"
    assert append_trace(world, job, None, b"x").json() == {"error": "400 Missing header Content-Range"}
    assert append_trace(world, job, 11, b"x", token="glcbt-other").status_code == 403


def test_a_trace_above_the_limit_fails_the_job(world: World) -> None:
    job = started_job(world)
    world.gitlab.settings.trace_limit = 10
    assert append_trace(world, job, 0, b"x" * 11).status_code == 403
    assert (job.status, job.failure_reason) == ("failed", "trace_size_exceeded")


def test_updating_the_state(world: World) -> None:
    job = started_job(world)
    assert (update_job(world, job, state="running").text, job.status) == ("200", "running")
    assert update_job(world, job, state="nonsense").status_code == 400
    done = update_job(world, job, state="failed", failure_reason="script_failure", exit_code=3)
    assert (done.status_code, done.headers["Job-Status"]) == (200, "failed")
    assert (job.status, job.failure_reason, job.exit_code) == ("failed", "script_failure", 3)
    late = update_job(world, job, state="success")
    assert (late.status_code, late.headers["Job-Status"]) == (403, "failed")
    assert late.json() == {"message": "403 Forbidden - Job is not processing on runner"}
    assert world.call("PUT", "/jobs/4711", token=job.token).status_code == 403


def test_the_final_state_is_accepted_before_the_trace_is_archived(world: World) -> None:
    world.gitlab.settings.trace_storing = 30
    job = started_job(world)
    assert update_job(world, job, state="success").status_code == 202
    assert job.status == "running"
    world.gitlab.clock.advance(31)
    assert update_job(world, job, state="success").status_code == 200
    assert job.status == "success"


def test_canceling(world: World) -> None:
    job = started_job(world)
    assert world.gitlab.cancel_job(job.id).status == "canceling"
    assert append_trace(world, job, 0, b"after_script").headers["Job-Status"] == "canceling"
    update_job(world, job, state="failed")
    assert job.status == "canceled"
    assert world.gitlab.cancel_job(world.gitlab.add_job(world.project, ["true"]).id).status == "canceled"


def test_jobs_of_a_runner(world: World) -> None:
    job = started_job(world, name="build")
    update_job(world, job, state="failed", failure_reason="script_failure")
    address = f"/runners/{job.runner_id}/jobs"
    [item] = world.call("GET", address, "maintainer").json()
    assert (item["id"], item["name"], item["status"]) == (job.id, "build", "failed")
    assert item["failure_reason"] == "script_failure"
    assert world.call("GET", address, "maintainer", status="success").json() == []
    list_owned = world.call("GET", address, "maintainer", system_id="s_1")
    assert len(list_owned.json()) == 1
    assert "X-Total" not in list_owned.headers
    assert world.call("GET", address, "developer").status_code == 403


def test_order_of_the_jobs_of_a_runner(world: World) -> None:
    runner = world.runner()
    for _ in range(3):
        world.gitlab.add_job(world.project, ["true"])
        update_job(world, world.gitlab.jobs[request_job(world, runner).json()["id"]], state="success")

    def ids(**params: str) -> list[int]:
        jobs = world.call("GET", f"/runners/{runner.id}/jobs", "maintainer", **params).json()
        return [job["id"] for job in jobs]

    assert ids() == ids(sort="desc") == ids(order_by="id", sort="asc") == [1, 2, 3]
    assert ids(order_by="id") == ids(order_by="id", sort="desc") == [3, 2, 1]


def test_job_execution_status_of_runner_and_manager(world: World) -> None:
    runner_id = started_job(world).runner_id
    assert world.call("GET", f"/runners/{runner_id}", "maintainer").json()["job_execution_status"] == "active"
    [manager] = world.call("GET", f"/runners/{runner_id}/managers", "maintainer").json()
    assert (manager["job_execution_status"], manager["version"]) == ("active", "19.4.0")


def test_artifacts_are_recorded(world: World) -> None:
    job = started_job(world)
    address = f"{world.url}/api/v4/jobs/{job.id}/artifacts"
    headers = {"JOB-TOKEN": job.token}
    assert world.session.post(address, data=b"zip", headers=headers, timeout=5).status_code == 201
    assert len(job.artifacts) == 1
    assert world.session.get(address, headers=headers, timeout=5).status_code == 404
