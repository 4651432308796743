# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects and groups by id and by path."""

from __future__ import annotations

import pytest
from fake_gitlab_world import World


@pytest.mark.parametrize("reference", ["42", "fleet%2Fpis"])
def test_a_project_by_id_and_by_path(world: World, reference: str) -> None:
    world.set_scopes("developer", "read_api")
    reply = world.call("GET", f"/projects/{reference}", "developer")
    assert reply.status_code == 200
    shown = reply.json()
    assert (shown["id"], shown["path_with_namespace"], shown["name"]) == (42, "fleet/pis", "pis")
    assert shown["namespace"] == {"id": 7, "kind": "group", "full_path": "fleet"}
    assert world.project.registration_token not in reply.text


def test_a_group_by_id_and_by_path(world: World) -> None:
    sub = world.gitlab.add_group("fleet/sub", parent=world.group)
    for reference in (sub.id, "fleet%2Fsub"):
        reply = world.call("GET", f"/groups/{reference}", "developer")
        shown = reply.json()
        assert (shown["id"], shown["full_path"], shown["name"], shown["parent_id"]) == (sub.id, "fleet/sub", "sub", 7)
        assert sub.registration_token not in reply.text


def test_invisible_projects_and_groups_are_404(world: World) -> None:
    for path in ("/projects/42", "/projects/4711", "/projects/fleet%2Fnone"):
        reply = world.call("GET", path, "non_member")
        assert (reply.status_code, reply.json()) == (404, {"message": "404 Project Not Found"})
    for path in ("/groups/7", "/groups/4711"):
        reply = world.call("GET", path, "non_member")
        assert (reply.status_code, reply.json()) == (404, {"message": "404 Group Not Found"})


@pytest.mark.parametrize("scope", ["create_runner", "manage_runner", "read_user"])
def test_insufficient_scopes(world: World, scope: str) -> None:
    world.set_scopes("owner", scope)
    for path in ("/projects/42", "/groups/7"):
        reply = world.call("GET", path, "owner")
        assert (reply.status_code, reply.json()["error"]) == (403, "insufficient_scope")


def test_public_projects_and_groups_are_visible_to_non_members(world: World) -> None:
    world.project.public = world.group.public = True
    assert world.call("GET", "/projects/42", "non_member").json()["visibility"] == "public"
    assert world.call("GET", "/groups/7", "non_member").json()["visibility"] == "public"
