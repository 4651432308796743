# SPDX-License-Identifier: GPL-3.0-or-later
"""Making runners: by a user, or with a registration token on servers that still allow it."""

from __future__ import annotations

from fake_gitlab import refusals, tokens, views
from fake_gitlab.access import Caller, authenticate
from fake_gitlab.api.attributes import ACTIVE, ATTRIBUTES
from fake_gitlab.exchange import Call, Endpoint, Reply
from fake_gitlab.namespaces import Group, Project, Role
from fake_gitlab.params import Param, integer, mapping, present, read
from fake_gitlab.runner_limits import limit_problems
from fake_gitlab.runners import RUNNER_TYPES, problems, sentence
from fake_gitlab.state import FakeGitLab

_OWNERS = {"group_type": "group_id", "project_type": "project_id"}


def create(gitlab: FakeGitLab, call: Call) -> Reply:
    """Every call makes another runner; nothing about it is unique."""
    caller = authenticate(gitlab, call)
    owner_param = _OWNERS.get(str(call.params.get("runner_type")))
    wanted = present(
        read(
            call.params,
            [
                Param("runner_type", required=True, values=RUNNER_TYPES),
                *([Param(owner_param, integer, required=True)] if owner_param else []),
                *ATTRIBUTES,
            ],
        )
    )
    runner_type = wanted.pop("runner_type", "")
    if not runner_type:
        raise refusals.bad_schema(["runner_type does not have a valid value"])
    owner = _owner(gitlab, owner_param, wanted.pop(owner_param, None)) if owner_param else None
    if not caller.may_create(runner_type, owner):
        raise refusals.forbidden("Insufficient permissions")
    found = problems(wanted) | limit_problems(gitlab, owner)
    if found:
        raise refusals.bad_request(sentence(found))
    runner = gitlab.create_runner(runner_type, owner=owner, created_by=caller.user.id, **wanted)
    call.about(runner.id)
    return Reply(201, views.registration(runner))


def register(gitlab: FakeGitLab, call: Call) -> Reply:
    """The legacy way. Where it is switched off, any token at all is answered 410."""
    given = read(
        call.params,
        [Param("token", required=True), Param("info", mapping), Param("maintainer_note"), ACTIVE, *ATTRIBUTES],
        exclusive=[("active", "paused"), ("maintainer_note", "maintenance_note")],
    )
    token = given.pop("token")
    wanted = present(given)
    wanted.pop("info", None)
    if "active" in wanted:
        wanted["paused"] = not wanted.pop("active")
    if "maintainer_note" in wanted:
        wanted["maintenance_note"] = wanted.pop("maintainer_note")

    runner_type, owner = _registrar(gitlab, token)
    found = problems(wanted) | limit_problems(gitlab, owner)
    if found:
        raise refusals.invalid_model(found)
    runner = gitlab.create_runner(runner_type, owner=owner, registered=True, **wanted)
    call.about(runner.id)
    return Reply(201, views.registration(runner))


def reset_instance_token(gitlab: FakeGitLab, call: Call) -> Reply:
    if not authenticate(gitlab, call).is_admin:
        raise refusals.forbidden()
    if not gitlab.settings.allow_registration_tokens:
        raise refusals.forbidden()
    gitlab.settings.registration_token = tokens.registration_token()
    return Reply(201, views.registration_token(gitlab.settings.registration_token))


def reset_project_token(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    return _reset_owner_token(caller, gitlab.find_project(call.params["id"]), "Project", Role.MAINTAINER)


def reset_group_token(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    return _reset_owner_token(caller, gitlab.find_group(call.params["id"]), "Group", Role.OWNER)


def _owner(gitlab: FakeGitLab, param: str, owner_id: int | None) -> Group | Project:
    owner = (gitlab.groups if param == "group_id" else gitlab.projects).get(owner_id or 0)
    if owner is None:
        raise refusals.bad_request(f"Missing/invalid {param.removesuffix('_id')}")
    return owner


def _registrar(gitlab: FakeGitLab, token: str) -> tuple[str, Group | Project | None]:
    """The type and owner of the runners that this registration token makes."""
    switched_off = refusals.gone("runner registration disallowed")
    if not gitlab.settings.allow_registration_tokens:
        raise switched_off
    if token == gitlab.settings.registration_token:
        return "instance_type", None
    owner = next((owner for owner in gitlab.namespaces() if owner.registration_token == token), None)
    if owner is None:
        raise refusals.forbidden("invalid token supplied")
    if not _takes_registration_tokens(gitlab, owner):
        raise switched_off
    return ("group_type" if isinstance(owner, Group) else "project_type"), owner


def _takes_registration_tokens(gitlab: FakeGitLab, owner: Group | Project) -> bool:
    group_id = owner.id if isinstance(owner, Group) else owner.group_id
    return gitlab.settings.allow_registration_tokens and all(
        group.allow_registration_tokens for group in gitlab.ancestors(group_id)
    )


def _reset_owner_token(caller: Caller, owner: Group | Project | None, kind: str, needed: Role) -> Reply:
    if owner is None or not caller.may_see(owner):
        raise refusals.not_found(kind)
    may = caller.is_admin or caller.role_in(owner) >= needed
    if not (may and _takes_registration_tokens(caller.gitlab, owner)):
        raise refusals.forbidden()
    owner.registration_token = tokens.registration_token()
    return Reply(201, views.registration_token(owner.registration_token))


ENDPOINTS = (
    Endpoint("POST", "/user/runners", create, "user"),
    Endpoint("POST", "/runners", register, "runner"),
    Endpoint("POST", "/runners/reset_registration_token", reset_instance_token, "user"),
    Endpoint("POST", "/projects/{id:path}/runners/reset_registration_token", reset_project_token, "user"),
    Endpoint("POST", "/groups/{id:path}/runners/reset_registration_token", reset_group_token, "user"),
)
