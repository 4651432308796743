# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating runners as a user (`POST /user/runners`) or with a registration token (`POST /runners`)."""

from __future__ import annotations

from fake_gitlab import entities, errors, tokens
from fake_gitlab.access import Caller, authenticate
from fake_gitlab.api.attributes import ACTIVE, ATTRIBUTES
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.namespaces import Group, Project, Role
from fake_gitlab.params import Param, integer, mapping, read_params, without_blank
from fake_gitlab.runner_limits import limit_errors
from fake_gitlab.runners import RUNNER_TYPES, full_messages, validation_errors
from fake_gitlab.state import FakeGitLab

_OWNERS = {"group_type": "group_id", "project_type": "project_id"}


def create(gitlab: FakeGitLab, call: Call) -> Reply:
    """Not idempotent: GitLab enforces no unique attribute, every request creates another runner."""
    caller = authenticate(gitlab, call)
    owner_param = _OWNERS.get(str(call.params.get("runner_type")))
    attributes = without_blank(
        read_params(
            call.params,
            [
                Param("runner_type", required=True, values=RUNNER_TYPES),
                *([Param(owner_param, integer, required=True)] if owner_param else []),
                *ATTRIBUTES,
            ],
        )
    )
    runner_type = attributes.pop("runner_type", "")
    if not runner_type:
        raise errors.validation_error(["runner_type does not have a valid value"])
    owner = _owner(gitlab, owner_param, attributes.pop(owner_param, None)) if owner_param else None
    if not caller.may_create(runner_type, owner):
        raise errors.forbidden("Insufficient permissions")
    model_errors = validation_errors(attributes) | limit_errors(gitlab, owner)
    if model_errors:
        raise errors.bad_request(full_messages(model_errors))
    runner = gitlab.create_runner(runner_type, owner=owner, created_by=caller.user.id, **attributes)
    call.runner_id = runner.id
    return Reply(201, entities.ci_runner_registration_details(runner))


def register(gitlab: FakeGitLab, call: Call) -> Reply:
    """The deprecated way. Where registration tokens are not allowed, every token is a 410."""
    params = read_params(
        call.params,
        [Param("token", required=True), Param("info", mapping), Param("maintainer_note"), ACTIVE, *ATTRIBUTES],
        exclusive=[("active", "paused"), ("maintainer_note", "maintenance_note")],
    )
    token = params.pop("token")
    attributes = without_blank(params)
    attributes.pop("info", None)
    if "active" in attributes:
        attributes["paused"] = not attributes.pop("active")
    if "maintainer_note" in attributes:
        attributes["maintenance_note"] = attributes.pop("maintainer_note")

    runner_type, owner = _owner_of_registration_token(gitlab, token)
    model_errors = validation_errors(attributes) | limit_errors(gitlab, owner)
    if model_errors:
        raise errors.record_invalid(model_errors)
    runner = gitlab.create_runner(runner_type, owner=owner, registered=True, **attributes)
    call.runner_id = runner.id
    return Reply(201, entities.ci_runner_registration_details(runner))


def reset_instance_registration_token(gitlab: FakeGitLab, call: Call) -> Reply:
    if not authenticate(gitlab, call).is_admin:
        raise errors.forbidden()
    if not gitlab.settings.allow_registration_tokens:
        raise errors.forbidden()
    gitlab.settings.registration_token = tokens.registration_token()
    return Reply(201, entities.registration_token(gitlab.settings.registration_token))


def reset_project_registration_token(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    return _reset_registration_token(caller, gitlab.find_project(call.params["id"]), "Project", Role.MAINTAINER)


def reset_group_registration_token(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    return _reset_registration_token(caller, gitlab.find_group(call.params["id"]), "Group", Role.OWNER)


def _owner(gitlab: FakeGitLab, param: str, owner_id: int | None) -> Group | Project:
    owner = (gitlab.groups if param == "group_id" else gitlab.projects).get(owner_id or 0)
    if owner is None:
        raise errors.bad_request(f"Missing/invalid {param.removesuffix('_id')}")
    return owner


def _owner_of_registration_token(gitlab: FakeGitLab, token: str) -> tuple[str, Group | Project | None]:
    """The type and owner of the runners that this registration token creates. Raises APIError 403 or 410."""
    disallowed = errors.gone("runner registration disallowed")
    if not gitlab.settings.allow_registration_tokens:
        raise disallowed
    if token == gitlab.settings.registration_token:
        return "instance_type", None
    owner = next((owner for owner in gitlab.namespaces() if owner.registration_token == token), None)
    if owner is None:
        raise errors.forbidden("invalid token supplied")
    if not _registration_tokens_allowed(gitlab, owner):
        raise disallowed
    return ("group_type" if isinstance(owner, Group) else "project_type"), owner


def _registration_tokens_allowed(gitlab: FakeGitLab, owner: Group | Project) -> bool:
    group_id = owner.id if isinstance(owner, Group) else owner.group_id
    return gitlab.settings.allow_registration_tokens and all(
        group.allow_registration_tokens for group in gitlab.self_and_ancestors(group_id)
    )


def _reset_registration_token(caller: Caller, owner: Group | Project | None, kind: str, required: Role) -> Reply:
    if owner is None or not caller.may_see(owner):
        raise errors.not_found(kind)
    permitted = caller.is_admin or caller.role_in(owner) >= required
    if not (permitted and _registration_tokens_allowed(caller.gitlab, owner)):
        raise errors.forbidden()
    owner.registration_token = tokens.registration_token()
    return Reply(201, entities.registration_token(owner.registration_token))


ENDPOINTS = (
    Endpoint("POST", "/user/runners", create, "user"),
    Endpoint("POST", "/runners", register, "runner"),
    Endpoint("POST", "/runners/reset_registration_token", reset_instance_registration_token, "user"),
    Endpoint("POST", "/projects/{id:path}/runners/reset_registration_token", reset_project_registration_token, "user"),
    Endpoint("POST", "/groups/{id:path}/runners/reset_registration_token", reset_group_registration_token, "user"),
)
