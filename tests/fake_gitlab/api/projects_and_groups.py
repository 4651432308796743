# SPDX-License-Identifier: GPL-3.0-or-later
"""A project or group by its id or path: what a client asks who was told one and needs the other."""

from __future__ import annotations

from fake_gitlab import entities, errors
from fake_gitlab.access import authenticate
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.state import FakeGitLab


def project(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    found = gitlab.find_project(call.params["id"])
    if found is None or not caller.may_see(found):
        raise errors.not_found("Project")
    return Reply(200, entities.project_details(gitlab, found, call.origin))


def group(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    found = gitlab.find_group(call.params["id"])
    if found is None or not caller.may_see(found):
        raise errors.not_found("Group")
    return Reply(200, entities.group_details(found, call.origin))


ENDPOINTS = (
    Endpoint("GET", "/projects/{id:path}", project, "user"),
    Endpoint("GET", "/groups/{id:path}", group, "user"),
)
