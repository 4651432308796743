# SPDX-License-Identifier: GPL-3.0-or-later
"""Who am I, and which GitLab is this: what API clients ask when they say hello."""

from __future__ import annotations

from fake_gitlab.access import authenticate
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.state import FakeGitLab


def user(gitlab: FakeGitLab, call: Call) -> Reply:
    caller = authenticate(gitlab, call)
    shown = {"id": caller.user.id, "username": caller.user.username, "name": caller.user.username, "state": "active"}
    return Reply(200, {**shown, "is_admin": True} if caller.is_admin else shown)


def version(gitlab: FakeGitLab, call: Call) -> Reply:
    authenticate(gitlab, call)
    return Reply(200, {"version": gitlab.settings.version, "revision": "fake"})


ENDPOINTS = (Endpoint("GET", "/user", user, "user"), Endpoint("GET", "/version", version, "user"))
