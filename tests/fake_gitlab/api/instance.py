# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /user` and `GET /version`."""

from __future__ import annotations

from fake_gitlab.access import authenticate
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.state import FakeGitLab


def user(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    entity = {"id": caller.user.id, "username": caller.user.username, "name": caller.user.username, "state": "active"}
    return Reply(200, {**entity, "is_admin": True} if caller.is_admin else entity)


def version(gitlab: FakeGitLab, call: Call) -> Reply:
    authenticate(gitlab, call)
    return Reply(200, {"version": gitlab.settings.version, "revision": "fake"})


ENDPOINTS = (Endpoint("GET", "/user", user, "user"), Endpoint("GET", "/version", version, "user"))
