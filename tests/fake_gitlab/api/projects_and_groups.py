# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /projects/:id` and `GET /groups/:id`, by id or full path."""

from __future__ import annotations

from fake_gitlab import entities, errors
from fake_gitlab.access import authenticate
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.state import FakeGitLab


def show_project(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    project = gitlab.find_project(call.params["id"])
    if project is None or not caller.may_see(project):
        raise errors.not_found("Project")
    return Reply(200, entities.project_details(gitlab, project, call.origin))


def show_group(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    group = gitlab.find_group(call.params["id"])
    if group is None or not caller.may_see(group):
        raise errors.not_found("Group")
    return Reply(200, entities.group_details(group, call.origin))


ENDPOINTS = (
    Endpoint("GET", "/projects/{id:path}", show_project, "user"),
    Endpoint("GET", "/groups/{id:path}", show_group, "user"),
)
