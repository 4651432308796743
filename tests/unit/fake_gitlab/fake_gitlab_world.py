# SPDX-License-Identifier: GPL-3.0-or-later
"""A populated fake GitLab: users with their tokens, a group with a project, and a client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import requests
from fake_gitlab import FakeGitLab, Role, Runner


@dataclass
class World:
    url: str
    gitlab: FakeGitLab
    session: requests.Session = field(default_factory=requests.Session)
    tokens: dict[str, str] = field(default_factory=dict)

    def populate(self) -> None:
        gitlab = self.gitlab
        self.session.trust_env = False
        root = gitlab.add_user("root", admin=True)
        people = {name: gitlab.add_user(name) for name in ("owner", "maintainer", "developer", "non_member")}
        roles = {people[name]: Role[name.upper()] for name in ("owner", "maintainer", "developer")}
        self.group = gitlab.add_group("fleet", members=roles, group_id=7)
        self.project = gitlab.add_project("fleet/pis", group=self.group, project_id=42)
        self.tokens = {user.username: gitlab.add_token(user) for user in (root, *people.values())}

    def set_scopes(self, username: str, *scopes: str) -> None:
        """Replace the user's token by one with these scopes."""
        user = next(user for user in self.gitlab.users.values() if user.username == username)
        self.tokens[username] = self.gitlab.add_token(user, scopes)

    def call(self, method: str, path: str, user: str | None = None, /, **params: Any) -> requests.Response:
        """Send a REST request as the named user; `params` are the query of a GET, else the JSON body."""
        headers = {"PRIVATE-TOKEN": self.tokens[user]} if user else {}
        query, body = (params, None) if method == "GET" else (None, params or None)
        return self.session.request(
            method, f"{self.url}/api/v4{path}", headers=headers, params=query, json=body, timeout=5
        )

    def graphql(self, query: str, user: str | None = None, /, **variables: Any) -> requests.Response:
        """Send a GraphQL request as the named user."""
        headers = {"PRIVATE-TOKEN": self.tokens[user]} if user else {}
        body = {"query": query, "variables": variables}
        return self.session.post(f"{self.url}/api/graphql", headers=headers, json=body, timeout=5)

    def create(self, user: str = "maintainer", **params: Any) -> requests.Response:
        return self.call("POST", "/user/runners", user, **{"runner_type": "project_type", "project_id": 42, **params})

    def runner(self, **attributes: Any) -> Runner:
        """A project runner, created in the state, not over the API."""
        return self.gitlab.create_runner("project_type", owner=self.project, **attributes)
