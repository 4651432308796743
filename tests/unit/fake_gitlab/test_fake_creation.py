# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating runners as a user and with registration tokens."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fake_gitlab import Role
from fake_gitlab_world import World


def test_creation_returns_id_and_token_and_is_not_idempotent(world: World) -> None:
    first, second = world.create(description="pi"), world.create(description="pi")
    assert first.status_code == second.status_code == 201
    assert set(first.json()) == {"id", "token", "token_expires_at"}
    assert first.json()["token"].startswith("glrt-t3_")
    assert first.json()["id"] != second.json()["id"]
    assert world.call("GET", f"/runners/{first.json()['id']}", "maintainer").json()["status"] == "never_contacted"


@pytest.mark.parametrize(
    ("style", "start"),
    [("classic", "glrt-"), ("routable", "glrt-"), ("prefixed", "acme-glrt-"), ("infixed", "glrt-t3_")],
)
def test_token_styles(world: World, style: Any, start: str) -> None:
    world.gitlab.settings.token_style = style
    token = world.create().json()["token"]
    assert token.startswith(start)
    assert (style == "routable") == ("." in token)


def test_routable_tokens_are_for_group_and_project_runners(world: World) -> None:
    world.gitlab.settings.allow_registration_tokens = True
    world.gitlab.settings.token_style = "routable"
    shape = r"[0-9A-Za-z_-]{27,300}\.01\.[0-9a-z]{9}"
    for owner, runner_type in ((world.project, "project_type"), (world.group, "group_type")):
        assert re.fullmatch(f"glrt-{shape}", world.gitlab.create_runner(runner_type, owner=owner).token)
        reply = world.call("POST", "/runners", token=owner.registration_token)
        assert re.fullmatch(f"glrtr-{shape}", reply.json()["token"])
    assert "." not in world.gitlab.create_runner("instance_type").token


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"runner_type": None}, "runner_type"),
        ({"runner_type": "shared"}, "runner_type does not have a valid value"),
        ({"runner_type": "group_type"}, "group_id is missing"),
        ({"maximum_timeout": "soon"}, "maximum_timeout is invalid"),
        ({"access_level": "all"}, "access_level does not have a valid value"),
        ({"paused": "maybe", "locked": 7}, "paused is invalid, locked is invalid"),
    ],
)
def test_parameter_validation_errors_are_text_in_error(world: World, params: dict[str, Any], error: str) -> None:
    reply = world.create(**params)
    assert reply.status_code == 400
    assert error in reply.json()["error"]


def test_a_missing_runner_type_is_reported_twice(world: World) -> None:
    reply = world.call("POST", "/user/runners", "maintainer")
    assert reply.json() == {"error": "runner_type is missing, runner_type does not have a valid value"}


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (
            {"run_untagged": False},
            "Tags list can not be empty when runner is not allowed to pick untagged jobs",
        ),
        ({"maximum_timeout": 599}, "Maximum timeout needs to be at least 10 minutes"),
        ({"description": "x" * 1025}, "Description is too long (maximum is 1024 characters)"),
        (
            {"tag_list": [f"t{number}" for number in range(51)]},
            "Tags list Too many tags specified. Please limit the number of tags to 50",
        ),
        (
            {"maximum_timeout": 1, "maintenance_note": "x" * 1025},
            "Maintenance note is too long (maximum is 1024 characters) and "
            "Maximum timeout needs to be at least 10 minutes",
        ),
        ({"project_id": 4711}, "Missing/invalid project"),
    ],
)
def test_service_errors_are_text_in_message(world: World, params: dict[str, Any], text: str) -> None:
    reply = world.create(**params)
    assert (reply.status_code, reply.json()) == (400, {"message": f"400 Bad request - {text}"})
    assert not world.gitlab.runners


def test_empty_values_count_as_not_sent(world: World) -> None:
    runner_id = world.create(tag_list=[], description="", maximum_timeout="").json()["id"]
    runner = world.gitlab.runners[runner_id]
    assert (runner.tag_list, runner.description, runner.maximum_timeout, runner.run_untagged) == ([], None, None, True)


def test_form_encoded_parameters(world: World) -> None:
    form = {"runner_type": "project_type", "project_id": "42", "tag_list[]": ["b", " a "], "run_untagged": "false"}
    headers = {"PRIVATE-TOKEN": world.tokens["maintainer"]}
    reply = world.session.post(f"{world.url}/api/v4/user/runners", data=form, headers=headers, timeout=5)
    runner = world.gitlab.runners[reply.json()["id"]]
    assert (runner.tag_list, runner.run_untagged) == (["a", "b"], False)


def test_an_unparsable_body_is_a_400(world: World) -> None:
    headers = {"PRIVATE-TOKEN": world.tokens["maintainer"], "Content-Type": "application/json"}
    assert (
        world.session.post(f"{world.url}/api/v4/user/runners", data="{", headers=headers, timeout=5).status_code == 400
    )


def test_the_plan_limit_counts_runners_that_are_not_stale(world: World) -> None:
    world.gitlab.settings.runner_limit = 1
    assert world.create().status_code == 201
    text = "Maximum number of ci registered project runners (1) exceeded"
    assert world.create().json() == {"message": f"400 Bad request - Runner projects base {text}"}
    world.gitlab.clock.advance(8 * 86400)
    assert world.create().status_code == 201


def test_the_plan_limit_error_is_on_the_association(world: World) -> None:
    world.gitlab.settings.allow_registration_tokens = True
    world.gitlab.settings.runner_limit = 1
    for owner, association in ((world.project, "runner_projects.base"), (world.group, "runner_namespaces.base")):
        assert world.call("POST", "/runners", token=owner.registration_token).status_code == 201
        reply = world.call("POST", "/runners", token=owner.registration_token)
        assert (reply.status_code, list(reply.json()["message"])) == (400, [association])


def test_the_plan_limit_applies_to_assignment(world: World) -> None:
    maintainer = next(user for user in world.gitlab.users.values() if user.username == "maintainer")
    second = world.gitlab.add_project("other/second", members={maintainer: Role.MAINTAINER})
    world.gitlab.settings.runner_limit = 1
    first, one_more = world.runner(), world.runner()
    path = f"/projects/{second.id}/runners"
    assert world.call("POST", path, "maintainer", runner_id=first.id).status_code == 201
    reply = world.call("POST", path, "maintainer", runner_id=one_more.id)
    assert reply.status_code == 400
    assert reply.json()["reason"] == "runner_error"
    assert "Maximum number of ci registered project runners (1) exceeded" in reply.json()["message"]


@pytest.mark.parametrize("token", ["garbage", "the project's", "a runner's"])
def test_registration_is_410_for_any_token_when_disallowed(world: World, token: str) -> None:
    token = {"the project's": world.project.registration_token, "a runner's": world.runner().token}.get(token, token)
    reply = world.call("POST", "/runners", token=token)
    assert (reply.status_code, reply.json()) == (410, {"message": "410 Gone - runner registration disallowed"})


def test_a_registration_token_determines_type_and_owner(world: World) -> None:
    world.gitlab.settings.allow_registration_tokens = True
    for token, runner_type in (
        (world.gitlab.settings.registration_token, "instance_type"),
        (world.group.registration_token, "group_type"),
        (world.project.registration_token, "project_type"),
    ):
        reply = world.call("POST", "/runners", token=token, description="old", maintainer_note="note", active=False)
        assert reply.status_code == 201
        assert reply.json()["token"].startswith("glrtr-")
        runner = world.gitlab.runners[reply.json()["id"]]
        assert (runner.runner_type, runner.maintenance_note, runner.paused) == (runner_type, "note", True)


def test_registration_errors(world: World) -> None:
    world.gitlab.settings.allow_registration_tokens = True
    assert world.call("POST", "/runners").json() == {"error": "token is missing"}
    invalid = {"message": "403 Forbidden - invalid token supplied"}
    for token in ("garbage", world.runner().token):
        reply = world.call("POST", "/runners", token=token)
        assert (reply.status_code, reply.json()) == (403, invalid)
    token = world.project.registration_token
    assert world.call("POST", "/runners", token=token, paused=True, active=True).json() == {
        "error": "active, paused are mutually exclusive"
    }
    reply = world.call("POST", "/runners", token=token, run_untagged=False)
    assert reply.status_code == 400
    assert list(reply.json()["message"]) == ["tags_list"]
    world.group.allow_registration_tokens = False
    assert world.call("POST", "/runners", token=token).status_code == 410


REGISTRATION_TOKENS = pytest.mark.parametrize(
    ("path", "user"), [("/runners", "root"), ("/projects/42/runners", "maintainer"), ("/groups/7/runners", "owner")]
)


@REGISTRATION_TOKENS
def test_registration_tokens_can_be_reset(world: World, path: str, user: str) -> None:
    world.gitlab.settings.allow_registration_tokens = True
    reply = world.call("POST", f"{path}/reset_registration_token", user)
    assert reply.status_code == 201
    assert set(reply.json()) == {"token"}
    assert world.call("POST", "/runners", token=reply.json()["token"]).status_code == 201
    assert world.call("POST", f"{path}/reset_registration_token", "developer").status_code == 403
    assert world.call("POST", f"{path}/reset_registration_token").status_code == 401


@REGISTRATION_TOKENS
def test_disallowed_registration_tokens_cannot_be_reset(world: World, path: str, user: str) -> None:
    for who in (user, "root"):
        reply = world.call("POST", f"{path}/reset_registration_token", who)
        assert (reply.status_code, reply.json()) == (403, {"message": "403 Forbidden"})
    world.gitlab.settings.allow_registration_tokens = True
    world.group.allow_registration_tokens = False
    expected = 201 if path == "/runners" else 403
    assert world.call("POST", f"{path}/reset_registration_token", user).status_code == expected
