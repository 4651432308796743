# SPDX-License-Identifier: GPL-3.0-or-later
"""PUT and DELETE of a single runner."""

from __future__ import annotations

from typing import Any

import pytest
from fake_gitlab_world import World


def test_update_changes_only_what_is_sent(world: World) -> None:
    runner = world.runner(description="pi", tag_list=["a", "b"], maximum_timeout=3600, maintenance_note="n")
    reply = world.call("PUT", f"/runners/{runner.id}", "maintainer", tag_list=["c"], paused=True)
    assert reply.status_code == 200
    assert reply.json() == world.call("GET", f"/runners/{runner.id}", "maintainer").json()
    assert (runner.tag_list, runner.paused, runner.description) == (["c"], True, "pi")
    assert (runner.maximum_timeout, runner.maintenance_note) == (3600, "n")


def test_empty_values_are_updates(world: World) -> None:
    runner = world.runner(description="pi", tag_list=["a"], maximum_timeout=3600)
    reply = world.call("PUT", f"/runners/{runner.id}", "maintainer", tag_list=[], maximum_timeout="", description="")
    assert (reply.json()["tag_list"], reply.json()["maximum_timeout"], reply.json()["description"]) == ([], None, "")


def test_null_is_ignored_for_attributes_that_are_not_nullable(world: World) -> None:
    runner = world.runner(paused=True, description="pi")
    world.call("PUT", f"/runners/{runner.id}", "maintainer", paused=None, locked=None, description=None)
    assert (runner.paused, runner.locked, runner.description) == (True, False, None)


def test_tags_are_deduplicated_and_sorted(world: World) -> None:
    runner = world.runner()
    reply = world.call("PUT", f"/runners/{runner.id}", "maintainer", tag_list="z, a,z ,M")
    assert reply.json()["tag_list"] == ["M", "a", "z"]


def test_update_without_attributes_is_an_error(world: World) -> None:
    reply = world.call("PUT", f"/runners/{world.runner().id}", "maintainer", name="x")
    assert reply.status_code == 400
    assert reply.json()["error"].endswith("are missing, at least one parameter must be provided")


@pytest.mark.parametrize(
    ("params", "field", "text"),
    [
        ({"maximum_timeout": 10}, "maximum_timeout", "needs to be at least 10 minutes"),
        (
            {"run_untagged": False},
            "tags_list",
            "can not be empty when runner is not allowed to pick untagged jobs",
        ),
        ({"maintenance_note": "x" * 1025}, "maintenance_note", "is too long (maximum is 1024 characters)"),
    ],
)
def test_model_errors_are_an_object_in_message(world: World, params: dict[str, Any], field: str, text: str) -> None:
    runner = world.runner()
    reply = world.call("PUT", f"/runners/{runner.id}", "maintainer", **params, description="new")
    assert (reply.status_code, reply.json()) == (400, {"message": {field: [text]}})
    assert runner.description is None


def test_the_limit_of_tags_is_checked_only_when_they_change(world: World) -> None:
    old = [f"tag{number:02}" for number in range(60)]
    runner = world.runner(tag_list=old)
    address = f"/runners/{runner.id}"
    assert world.call("PUT", address, "maintainer", description="new").status_code == 200
    assert world.call("PUT", address, "maintainer", tag_list=old[::-1], paused=True).status_code == 200
    reply = world.call("PUT", address, "maintainer", tag_list=old[1:])
    assert (reply.status_code, list(reply.json()["message"])) == (400, ["tags_list"])
    assert world.call("PUT", address, "maintainer", tag_list=old[:50]).status_code == 200


def test_type_and_owner_cannot_be_changed(world: World) -> None:
    runner = world.runner()
    world.call("PUT", f"/runners/{runner.id}", "maintainer", runner_type="instance_type", token="x", paused=True)
    assert runner.runner_type == "project_type"
    assert runner.token != "x"


def test_active_and_paused_are_mutually_exclusive(world: World) -> None:
    runner = world.runner()
    assert world.call("PUT", f"/runners/{runner.id}", "maintainer", active=False).json()["paused"] is True
    assert world.call("PUT", f"/runners/{runner.id}", "maintainer", active=True, paused=True).status_code == 400


def test_delete_removes_runner_and_token(world: World) -> None:
    runner = world.runner()
    reply = world.call("DELETE", f"/runners/{runner.id}", "maintainer")
    assert (reply.status_code, reply.content) == (204, b"")
    assert world.call("GET", f"/runners/{runner.id}", "maintainer").status_code == 404
    assert world.call("POST", "/runners/verify", token=runner.token).status_code == 403
