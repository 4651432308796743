# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication, scopes and roles, and the errors they raise."""

from __future__ import annotations

from typing import Any

import pytest
from fake_gitlab_world import World

UNAUTHORIZED = {"message": "401 Unauthorized"}


def test_no_or_unknown_token_is_401(world: World) -> None:
    world.tokens["nobody"] = "glpat-unknown"
    for user in (None, "nobody"):
        reply = world.call("GET", "/runners", user)
        assert (reply.status_code, reply.json()) == (401, UNAUTHORIZED)


def test_token_is_read_from_either_header_or_the_query(world: World) -> None:
    token, address = world.tokens["owner"], f"{world.url}/api/v4/user"
    get = world.session.get
    assert get(address, headers={"Authorization": f"Bearer {token}"}, timeout=5).ok
    assert get(address, params={"private_token": token}, timeout=5).ok
    assert get(address, headers={"JOB-TOKEN": token}, timeout=5).status_code == 401


def test_expired_and_revoked_tokens_are_invalid_token_errors(world: World) -> None:
    world.gitlab.access_tokens[world.tokens["owner"]].revoked = True
    user = world.gitlab.add_user("late")
    world.tokens["late"] = world.gitlab.add_token(user, lifetime=60)
    world.gitlab.clock.advance(61)
    for name in ("owner", "late"):
        reply = world.call("GET", "/runners", name)
        assert reply.status_code == 401
        assert reply.json()["error"] == "invalid_token"


def test_access_tokens_and_authentication_tokens_are_not_interchangeable(world: World) -> None:
    world.tokens["runner"] = world.runner().token
    assert world.call("GET", "/runners", "runner").status_code == 401
    assert world.call("POST", "/runners/verify", token=world.tokens["root"]).status_code == 403
    assert world.call("POST", "/runners/verify", "root").json() == {"error": "token is missing"}


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (["api"], {"create", "list", "of project", "read", "managers", "update", "reset", "delete"}),
        (["read_api"], {"list", "of project", "read", "managers"}),
        (["create_runner"], {"create"}),
        (["manage_runner"], {"read", "managers", "update", "reset", "delete"}),
        (["read_user"], set()),
    ],
)
def test_each_scope_permits_only_its_endpoints(world: World, scopes: list[str], allowed: set[str]) -> None:
    runner = world.runner()
    world.set_scopes("maintainer", *scopes)
    one = f"/runners/{runner.id}"
    attempts: dict[str, tuple[str, str, dict[str, Any]]] = {
        "create": ("POST", "/user/runners", {"runner_type": "project_type", "project_id": 42}),
        "list": ("GET", "/runners", {}),
        "of project": ("GET", "/projects/42/runners", {}),
        "read": ("GET", one, {}),
        "managers": ("GET", f"{one}/managers", {}),
        "update": ("PUT", one, {"paused": True}),
        "reset": ("POST", f"{one}/reset_authentication_token", {}),
        "delete": ("DELETE", one, {}),
    }
    replies = {
        name: world.call(method, path, "maintainer", **params) for name, (method, path, params) in attempts.items()
    }
    assert {name for name, reply in replies.items() if reply.ok} == allowed
    for name in replies.keys() - allowed:
        assert replies[name].status_code == 403
        assert replies[name].json()["error"] == "insufficient_scope"
        assert "scope" in replies[name].json()


@pytest.mark.parametrize(
    ("runner_type", "may"),
    [
        ("instance_type", {"root"}),
        ("group_type", {"root", "owner"}),
        ("project_type", {"root", "owner", "maintainer"}),
    ],
)
def test_roles_that_may_create_a_runner_of_each_type(world: World, runner_type: str, may: set[str]) -> None:
    for user in world.tokens:
        params = {"runner_type": runner_type, "group_id": 7, "project_id": 42}
        reply = world.call("POST", "/user/runners", user, **params)
        if user in may:
            assert reply.status_code == 201
        else:
            assert (reply.status_code, reply.json()) == (403, {"message": "403 Forbidden - Insufficient permissions"})
    assert len(world.gitlab.runners) == len(may)


def test_admin_mode_requires_its_scope(world: World) -> None:
    world.gitlab.settings.admin_mode = True
    assert world.call("GET", "/runners/all", "root").status_code == 403
    world.set_scopes("root", "api", "admin_mode")
    assert world.call("GET", "/runners/all", "root").status_code == 200


def test_groups_can_restrict_runner_creation_to_administrators(world: World) -> None:
    world.group.allow_runner_registration = False
    assert world.create("owner").status_code == 403
    assert world.create("root").status_code == 201


def test_reading_and_updating_require_different_roles(world: World) -> None:
    group = world.gitlab.create_runner("group_type", owner=world.group, maintenance_note="secret")
    shared = world.gitlab.create_runner("instance_type", maintenance_note="secret")
    assert world.call("GET", f"/runners/{group.id}", "developer").json() == {
        "message": "403 Forbidden - No access granted"
    }
    assert world.call("GET", f"/runners/{group.id}", "maintainer").json()["maintenance_note"] is None
    assert world.call("PUT", f"/runners/{group.id}", "maintainer", paused=True).status_code == 403
    assert world.call("GET", f"/runners/{group.id}", "owner").json()["maintenance_note"] == "secret"
    assert world.call("GET", f"/runners/{shared.id}", "non_member").json()["maintenance_note"] is None
    assert world.call("PUT", f"/runners/{shared.id}", "owner", paused=True).status_code == 403


def test_an_unknown_runner_is_404_before_permissions_are_checked(world: World) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/managers"), ("POST", "/reset_authentication_token")):
        reply = world.call(method, f"/runners/99{path}", "non_member")
        assert (reply.status_code, reply.json()) == (404, {"message": "404 Runner Not Found"})


def test_unknown_routes_are_404_in_json(world: World) -> None:
    for method in ("GET", "POST", "PATCH"):
        reply = world.call(method, "/nothing/here", "root")
        assert (reply.status_code, reply.json()) == (404, {"error": "404 Not Found"})
