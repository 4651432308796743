# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults, hooks and the journal."""

from __future__ import annotations

import time

import pytest
import requests
from fake_gitlab import REPLIES, Cut, Entry, Fault
from fake_gitlab.endpoint import Reply
from fake_gitlab_world import World


@pytest.mark.parametrize("name", sorted(REPLIES))
def test_a_fault_replaces_the_reply(world: World, name: str) -> None:
    world.gitlab.faults.add(Fault("POST", "/user/runners", reply=name))
    reply = world.create()
    assert reply.status_code == REPLIES[name].status
    assert not world.gitlab.runners
    assert world.create().status_code == 201
    lost, done = world.gitlab.journal
    assert (lost.processed, lost.fault, lost.status) == (False, True, REPLIES[name].status)
    assert (done.processed, done.fault, done.runner_id) == (True, False, 1)


def test_content_type_and_retry_after_of_named_replies(world: World) -> None:
    world.gitlab.faults.add(Fault(reply="captive_portal"))
    portal = world.create()
    assert (portal.status_code, portal.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    world.gitlab.faults.clear()
    world.gitlab.faults.add(Fault(reply="too_many_requests"))
    slow_down = world.create()
    assert slow_down.headers["Retry-After"] == "1"
    assert "error" in slow_down.json()["message"]


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_cut_before_and_after_the_request_is_carried_out(world: World, after: bool) -> None:
    world.gitlab.faults.add(Fault("POST", "/user/runners", cut=True, after=after))
    with pytest.raises(requests.ConnectionError):
        world.create()
    assert len(world.gitlab.runners) == int(after)
    [entry] = world.gitlab.journal
    assert (entry.processed, entry.status) == (after, None)


@pytest.mark.parametrize("after", [False, True])
def test_a_delay_beyond_the_clients_timeout(world: World, after: bool) -> None:
    world.gitlab.faults.add(Fault(delay=0.2, after=after))
    headers = {"PRIVATE-TOKEN": world.tokens["maintainer"]}
    params = {"runner_type": "project_type", "project_id": 42}
    with pytest.raises(requests.Timeout):
        requests.post(f"{world.url}/api/v4/user/runners", headers=headers, json=params, timeout=0.05)
    assert len(world.gitlab.runners) == int(after)
    deadline = time.monotonic() + 2
    while not world.gitlab.runners and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(world.gitlab.runners) == 1


def test_the_reply_is_replaced_after_the_request_is_carried_out(world: World) -> None:
    world.gitlab.faults.add(Fault(reply="bad_gateway", after=True))
    assert world.create().status_code == 502
    assert len(world.gitlab.runners) == 1


def test_method_path_nth_and_times_select_the_requests(world: World) -> None:
    one, two = world.runner(), world.runner()
    fault = world.gitlab.faults.add(Fault("GET", "/runners/*", reply=Reply(503, "busy"), nth=2, times=2))

    def status(runner_id: int) -> int:
        return world.call("GET", f"/runners/{runner_id}", "maintainer").status_code

    assert [status(one.id), status(two.id), status(one.id), status(two.id)] == [200, 503, 503, 200]
    assert world.call("GET", "/projects/42/runners", "maintainer").status_code == 200
    assert fault.seen == 4
    world.gitlab.faults.add(Fault(times=None, reply="server_error"))
    assert {status(one.id) for _ in range(3)} == {500}
    world.gitlab.faults.clear()
    assert status(one.id) == 200


def test_hooks_see_every_request_and_can_cut_it(world: World) -> None:
    seen: list[tuple[str, bool]] = []

    def note(entry: Entry) -> None:
        seen.append((entry.method, entry.processed))

    world.gitlab.before_request = world.gitlab.after_commit = note
    world.create()
    assert seen == [("POST", False), ("POST", True)]

    def lose(entry: Entry) -> None:
        raise Cut

    world.gitlab.before_request, world.gitlab.after_commit = None, lose
    with pytest.raises(requests.ConnectionError):
        world.create()
    assert len(world.gitlab.runners) == 2


def test_the_journal_holds_parameter_names_but_no_values(world: World) -> None:
    token = world.create(maintenance_note="my note").json()["token"]
    world.call("POST", "/runners/verify", token=token, system_id="s_1")
    created, verified = world.gitlab.journal
    assert created.params == ("maintenance_note", "project_id", "runner_type")
    assert (created.user, created.family, verified.family, verified.system_id) == (
        "maintainer",
        "user",
        "runner",
        "s_1",
    )
    assert created.runner_id == verified.runner_id == 1
    for secret in (token, "my note", world.tokens["maintainer"]):
        assert secret not in repr(list(world.gitlab.journal))


def test_writes_exclude_reads_verify_and_job_requests(world: World) -> None:
    token = world.create().json()["token"]
    world.call("GET", "/runners/1", "maintainer")
    world.call("POST", "/runners/verify", token=token)
    world.call("POST", "/jobs/request", token=token)
    world.call("PUT", "/runners/1", "maintainer", paused=True)
    world.call("POST", "/runners/reset_authentication_token", token=token)
    assert [(entry.method, entry.path) for entry in world.gitlab.journal.writes()] == [
        ("POST", "/api/v4/user/runners"),
        ("PUT", "/api/v4/runners/1"),
        ("POST", "/api/v4/runners/reset_authentication_token"),
    ]
    assert len(world.gitlab.journal.matching("GET", "/runners/1")) == 1


def test_a_request_delayed_across_a_reset_is_dropped(world: World) -> None:
    world.gitlab.faults.add(Fault(delay=0.1))
    headers = {"PRIVATE-TOKEN": world.tokens["root"]}
    with pytest.raises(requests.Timeout):
        requests.post(
            f"{world.url}/api/v4/user/runners", headers=headers, json={"runner_type": "instance_type"}, timeout=0.02
        )
    world.gitlab.reset()
    root = world.gitlab.add_user("root", admin=True)
    world.gitlab.add_token(root, value=world.tokens["root"])
    time.sleep(0.15)
    assert not world.gitlab.runners


def test_reset(world: World) -> None:
    world.create()
    world.gitlab.faults.add(Fault(reply="server_error"))
    world.gitlab.clock.advance(3600)
    world.gitlab.reset()
    world.populate()
    assert world.create().json()["id"] == 1
    assert len(world.gitlab.journal) == 1
