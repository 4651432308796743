# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests with an authentication token: verify, reset, unregister."""

from __future__ import annotations

import pytest
from fake_gitlab_world import World


def test_verify_is_a_contact_and_creates_a_manager(world: World) -> None:
    runner = world.runner(paused=True)
    reply = world.call("POST", "/runners/verify", token=runner.token, system_id="s_1")
    assert (reply.status_code, reply.json()) == (
        200,
        {"id": runner.id, "token": runner.token, "token_expires_at": None},
    )
    assert runner.contacted_at is not None
    [manager] = world.call("GET", f"/runners/{runner.id}/managers", "maintainer").json()
    assert (manager["system_id"], manager["ip_address"], manager["version"], manager["status"]) == (
        "s_1",
        "127.0.0.1",
        None,
        "online",
    )


def test_verify_without_a_system_id_creates_the_legacy_manager(world: World) -> None:
    runner = world.runner()
    world.call("POST", "/runners/verify", token=runner.token)
    world.call("POST", "/runners/verify", token=runner.token, system_id="s_1")
    world.call("POST", "/runners/verify", token=runner.token, system_id="s_1")
    assert list(runner.managers) == ["<legacy>", "s_1"]


def test_verify_updates_the_manager_only_with_the_info_that_is_sent(world: World) -> None:
    runner = world.runner()
    info = {"version": "19.4.0", "architecture": "arm64", "platform": "linux", "features": {"cancel_gracefully": True}}
    world.call("POST", "/runners/verify", token=runner.token, system_id="s_1", info=info)
    world.call("POST", "/runners/verify", token=runner.token, system_id="s_1")
    details = world.call("GET", f"/runners/{runner.id}", "maintainer").json()
    assert (details["version"], details["architecture"], details["platform"]) == ("19.4.0", "arm64", "linux")
    assert runner.managers["s_1"].cancel_gracefully


def test_features_are_updated_only_when_the_database_is(world: World) -> None:
    runner = world.runner()
    info = {"version": "19.4.0", "features": {"cancel_gracefully": True}}
    world.call("POST", "/runners/verify", token=runner.token, system_id="s_1")
    world.call("POST", "/runners/verify", token=runner.token, system_id="s_1", info=info)
    manager = runner.managers["s_1"]
    assert (manager.version, manager.cancel_gracefully) == ("19.4.0", False)
    world.gitlab.clock.advance(56 * 60)
    world.call("POST", "/runners/verify", token=runner.token, system_id="s_1", info=info)
    assert manager.cancel_gracefully


def test_page_status_is_never_contacted_until_the_first_job_request(world: World) -> None:
    runner = world.runner()
    state = f"{world.url}/_fake/runners/{runner.id}"
    world.call("POST", "/runners/verify", token=runner.token, system_id="s_1")
    assert world.call("GET", f"/runners/{runner.id}", "maintainer").json()["status"] == "online"
    assert world.session.get(state, timeout=5).json()["page_status"] == "never_contacted"
    world.call("POST", "/jobs/request", token=runner.token, system_id="s_1")
    assert world.session.get(state, timeout=5).json()["page_status"] == "online"


def test_verify_errors(world: World) -> None:
    runner = world.runner()
    assert world.call("POST", "/runners/verify").json() == {"error": "token is missing"}
    assert world.call("POST", "/runners/verify", token="glrt-unknown").json() == {"message": "403 Forbidden"}
    assert not runner.managers


def test_a_reset_invalidates_the_old_token_at_once(world: World) -> None:
    runner = world.runner()
    first = runner.token
    second = world.call("POST", f"/runners/{runner.id}/reset_authentication_token", "maintainer")
    assert second.status_code == 201
    assert world.call("POST", "/runners/verify", token=first).status_code == 403
    third = world.call("POST", "/runners/reset_authentication_token", token=second.json()["token"])
    assert third.status_code == 201
    assert set(third.json()) == {"token", "token_expires_at"}
    assert world.call("POST", "/runners/verify", token=second.json()["token"]).status_code == 403
    assert world.gitlab.runner_by_token(third.json()["token"]) is runner


def test_a_reset_by_the_runner_creates_the_legacy_manager(world: World) -> None:
    runner = world.runner()
    world.call("POST", "/runners/verify", token=runner.token, system_id="s_1")
    world.call("POST", "/runners/reset_authentication_token", token=runner.token)
    assert list(runner.managers) == ["s_1", "<legacy>"]


def test_runner_and_job_endpoints_are_429_during_migrations(world: World) -> None:
    world.gitlab.settings.migrations_running = True
    for method, path in (
        ("POST", "/runners"),
        ("POST", "/runners/verify"),
        ("POST", "/jobs/request"),
        ("PUT", "/jobs/1"),
    ):
        reply = world.call(method, path)
        assert (reply.status_code, reply.headers["Retry-After"]) == (429, "60")
        assert reply.json() == {"message": "Executing database migrations. Please retry later."}
    assert world.create().status_code == 201


def test_token_expiry_is_the_minimum_of_instance_and_groups(world: World) -> None:
    world.gitlab.settings.token_lifetime = 3600
    world.group.token_lifetime = 600
    token = world.create().json()
    assert token["token_expires_at"] is not None
    world.gitlab.clock.advance(601)
    assert world.call("POST", "/runners/verify", token=token["token"]).status_code == 403
    assert world.call("POST", "/runners/reset_authentication_token", token=token["token"]).status_code == 403
    reset = world.call("POST", f"/runners/{token['id']}/reset_authentication_token", "maintainer")
    assert world.call("POST", "/runners/verify", token=reset.json()["token"]).status_code == 200


def test_unregistering_a_manager_and_a_runner(world: World) -> None:
    runner = world.runner()
    for system_id in ("s_1", "s_2"):
        world.call("POST", "/runners/verify", token=runner.token, system_id=system_id)

    def remove(**params: str) -> tuple[int, object]:
        reply = world.call("DELETE", "/runners/managers", token=runner.token, **params)
        return reply.status_code, reply.json() if reply.content else None

    assert remove() == (400, {"error": "system_id is missing"})
    assert remove(system_id="s_3") == (404, {"message": "404 Runner manager not found Not Found"})
    assert remove(system_id="s_1") == (204, None)
    assert runner.contacted_at is not None
    assert remove(system_id="s_2") == (204, None)
    assert not runner.managers
    assert world.call("DELETE", "/runners", token=runner.token).status_code == 204
    assert not world.gitlab.runners
    assert world.call("DELETE", "/runners", token=runner.token).status_code == 403


@pytest.mark.parametrize(
    ("since", "deleted"),
    [
        ("Sat, 01 Jan 2000 00:00:00 GMT", False),
        ("2000-01-01T00:00:00Z", False),
        ("2000-01-01", False),
        ("Wed, 01 Jan 2200 00:00:00 GMT", True),
        ("2200-01-01T00:00:00+01:00", True),
        ("yesterday, or so", True),
    ],
)
def test_delete_honours_if_unmodified_since(world: World, since: str, deleted: bool) -> None:
    runner = world.runner()
    headers = {"PRIVATE-TOKEN": world.tokens["maintainer"], "If-Unmodified-Since": since}
    reply = world.session.delete(f"{world.url}/api/v4/runners/{runner.id}", headers=headers, timeout=5)
    assert (runner.id not in world.gitlab.runners) is deleted
    if deleted:
        assert reply.status_code == 204
    else:
        assert (reply.status_code, reply.json()) == (412, {"message": "412 Precondition Failed"})


def test_there_is_no_job_router(world: World) -> None:
    address = f"{world.url}/api/v4/runners/router/discovery"
    assert world.session.get(address, timeout=5).status_code == 403
    assert world.session.get(address, headers={"Runner-Token": world.runner().token}, timeout=5).status_code == 501
