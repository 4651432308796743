# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as the runner program sees them."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from fake_gitlab import Runner
from fake_gitlab.jobs import Job
from fake_gitlab_world import World

GRACEFUL = {"version": "19.4.0", "features": {"cancel_gracefully": True}}


def ask(world: World, runner: Runner, **params: Any) -> requests.Response:
    return world.call("POST", "/jobs/request", token=runner.token, system_id="s_1", **params)


def started(world: World, **details: Any) -> Job:
    """A job that a runner has taken."""
    job = world.gitlab.add_job(world.project, ["true"], **details)
    assert ask(world, world.runner(), info=GRACEFUL).status_code == 201
    return job


def patch(world: World, job: Job, start: int | None, text: bytes, token: str | None = None) -> requests.Response:
    headers = {"JOB-TOKEN": token or job.token, "Content-Type": "text/plain"}
    if start is not None:
        headers["Content-Range"] = f"{start}-{start + len(text) - 1}"
    address = f"{world.url}/api/v4/jobs/{job.id}/trace?debug_trace=false"
    return world.session.patch(address, data=text, headers=headers, timeout=5)


def put(world: World, job: Job, **params: Any) -> requests.Response:
    return world.call("PUT", f"/jobs/{job.id}", token=job.token, **params)


def test_an_empty_queue_has_a_mark_that_changes_with_the_queue(world: World) -> None:
    runner = world.runner()
    empty = ask(world, runner)
    mark = empty.headers["X-GitLab-Last-Update"]
    assert (empty.status_code, empty.content) == (204, b"")
    assert ask(world, runner, last_update=mark).headers["X-GitLab-Last-Update"] == mark
    world.gitlab.add_job(world.project, ["true"])
    assert ask(world, runner, last_update=mark).status_code == 201


def test_a_job_has_the_shape_that_the_runner_program_reads(world: World) -> None:
    runner = world.runner(maximum_timeout=600)
    job = world.gitlab.add_job(
        world.project, ["make"], after_script=["bye"], image="debian", services=["redis"], variables={"KEY": "value"}
    )
    data = ask(world, runner).json()
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
    assert ask(world, runner).status_code == 204


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
def test_which_runner_takes_which_job(world: World, runner: dict[str, Any], job: dict[str, Any], taken: bool) -> None:
    world.gitlab.add_job(world.project, ["true"], **job)
    assert ask(world, world.runner(**runner)).status_code == (201 if taken else 204)


def test_runners_serve_the_projects_they_belong_to(world: World) -> None:
    elsewhere = world.gitlab.add_project("elsewhere")
    world.gitlab.add_job(elsewhere, ["true"])
    assert ask(world, world.runner()).status_code == 204
    assert ask(world, world.gitlab.create_runner("group_type", owner=world.group)).status_code == 204
    assert ask(world, world.gitlab.create_runner("instance_type")).status_code == 201
    world.gitlab.add_job(world.project, ["true"])
    assert ask(world, world.gitlab.create_runner("group_type", owner=world.group)).status_code == 201


def test_a_refused_token_is_403(world: World) -> None:
    reply = world.call("POST", "/jobs/request", token="glrt-unknown")
    assert (reply.status_code, reply.json()) == (403, {"message": "403 Forbidden"})


def test_the_log_grows_where_it_ends(world: World) -> None:
    job = started(world)
    first = patch(world, job, 0, b"hello ")
    assert (first.status_code, first.headers["Range"], first.headers["Job-Status"]) == (202, "0-6", "running")
    assert "X-GitLab-Trace-Update-Interval" in first.headers
    assert patch(world, job, 0, b"hello ").status_code == 202
    for start in (2, 9):
        wrong = patch(world, job, start, b"world!")
        assert (wrong.status_code, wrong.headers["Range"]) == (416, "0-6")
    assert patch(world, job, 6, b"world").status_code == 202
    assert job.log == "hello world"
    assert patch(world, job, None, b"x").json() == {"error": "400 Missing header Content-Range"}
    assert patch(world, job, 11, b"x", token="glcbt-other").status_code == 403


def test_a_log_that_grows_too_long_ends_the_job(world: World) -> None:
    job = started(world)
    world.gitlab.settings.trace_limit = 10
    assert patch(world, job, 0, b"x" * 11).status_code == 403
    assert (job.status, job.failure_reason) == ("failed", "trace_size_exceeded")


def test_reporting_the_end(world: World) -> None:
    job = started(world)
    assert (put(world, job, state="running").text, job.status) == ("200", "running")
    assert put(world, job, state="nonsense").status_code == 400
    done = put(world, job, state="failed", failure_reason="script_failure", exit_code=3)
    assert (done.status_code, done.headers["Job-Status"]) == (200, "failed")
    assert (job.status, job.failure_reason, job.exit_code) == ("failed", "script_failure", 3)
    late = put(world, job, state="success")
    assert (late.status_code, late.headers["Job-Status"]) == (403, "failed")
    assert late.json() == {"message": "403 Forbidden - Job is not processing on runner"}
    assert world.call("PUT", "/jobs/4711", token=job.token).status_code == 403


def test_the_end_may_be_accepted_before_it_holds(world: World) -> None:
    world.gitlab.settings.trace_storing = 30
    job = started(world)
    assert put(world, job, state="success").status_code == 202
    assert job.status == "running"
    world.gitlab.clock.advance(31)
    assert put(world, job, state="success").status_code == 200
    assert job.status == "success"


def test_cancelling(world: World) -> None:
    job = started(world)
    assert world.gitlab.cancel_job(job.id).status == "canceling"
    assert patch(world, job, 0, b"after_script").headers["Job-Status"] == "canceling"
    put(world, job, state="failed")
    assert job.status == "canceled"
    assert world.gitlab.cancel_job(world.gitlab.add_job(world.project, ["true"]).id).status == "canceled"


def test_jobs_of_a_runner(world: World) -> None:
    job = started(world, name="build")
    put(world, job, state="failed", failure_reason="script_failure")
    address = f"/runners/{job.runner_id}/jobs"
    [item] = world.call("GET", address, "maintainer").json()
    assert (item["id"], item["name"], item["status"]) == (job.id, "build", "failed")
    assert item["failure_reason"] == "script_failure"
    assert world.call("GET", address, "maintainer", status="success").json() == []
    list_owned = world.call("GET", address, "maintainer", system_id="s_1")
    assert len(list_owned.json()) == 1
    assert "X-Total" not in list_owned.headers
    assert world.call("GET", address, "developer").status_code == 403


def test_jobs_stand_in_order_of_age_unless_ordered(world: World) -> None:
    runner = world.runner()
    for _ in range(3):
        world.gitlab.add_job(world.project, ["true"])
        put(world, world.gitlab.jobs[ask(world, runner).json()["id"]], state="success")

    def ids(**params: str) -> list[int]:
        jobs = world.call("GET", f"/runners/{runner.id}/jobs", "maintainer", **params).json()
        return [job["id"] for job in jobs]

    assert ids() == ids(sort="desc") == ids(order_by="id", sort="asc") == [1, 2, 3]
    assert ids(order_by="id") == ids(order_by="id", sort="desc") == [3, 2, 1]


def test_a_running_job_shows_on_runner_and_manager(world: World) -> None:
    runner_id = started(world).runner_id
    assert world.call("GET", f"/runners/{runner_id}", "maintainer").json()["job_execution_status"] == "active"
    [manager] = world.call("GET", f"/runners/{runner_id}/managers", "maintainer").json()
    assert (manager["job_execution_status"], manager["version"]) == ("active", "19.4.0")


def test_artifacts_are_noted(world: World) -> None:
    job = started(world)
    address = f"{world.url}/api/v4/jobs/{job.id}/artifacts"
    headers = {"JOB-TOKEN": job.token}
    assert world.session.post(address, data=b"zip", headers=headers, timeout=5).status_code == 201
    assert len(job.artifacts) == 1
    assert world.session.get(address, headers=headers, timeout=5).status_code == 404
