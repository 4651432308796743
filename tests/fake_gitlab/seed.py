# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed data: users, access tokens, groups and projects of an instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fake_gitlab.accounts import User
from fake_gitlab.namespaces import Group, Project, Role
from fake_gitlab.settings import update_settings
from fake_gitlab.state import FakeGitLab

# `id` is optional; without it ids count up from 1.
EXAMPLE: dict[str, Any] = {
    "settings": {"allow_registration_tokens": True},
    "users": [
        {"username": "root", "admin": True, "tokens": [{"value": "glpat-root", "scopes": ["api"]}]},
        {
            "username": "alice",
            "tokens": [{"value": "glpat-alice", "scopes": ["create_runner", "manage_runner", "read_api"]}],
        },
    ],
    "groups": [{"path": "fleet", "members": {"alice": "owner"}}],
    "projects": [{"path": "fleet/pis", "group": "fleet", "id": 42, "registration_token": "GR1348941example"}],
}


def load(gitlab: FakeGitLab, seed: Mapping[str, Any]) -> None:
    """Add what the seed describes, in the form of `EXAMPLE`. Raises KeyError, TypeError or ValueError if malformed."""
    update_settings(gitlab.settings, seed.get("settings", {}))
    users = {entry["username"]: _add_user(gitlab, entry) for entry in seed.get("users", [])}
    groups: dict[str, Group] = {}
    for entry in seed.get("groups", []):
        parent = groups[entry["parent"]] if entry.get("parent") else None
        group = gitlab.add_group(entry["path"], parent=parent, members=_members(users, entry), group_id=entry.get("id"))
        _set(
            group,
            entry,
            "registration_token",
            "allow_registration_tokens",
            "allow_runner_registration",
            "token_lifetime",
            "public",
        )
        groups[group.path] = group
    for entry in seed.get("projects", []):
        project = gitlab.add_project(
            entry["path"],
            group=groups[entry["group"]] if entry.get("group") else None,
            members=_members(users, entry),
            project_id=entry.get("id"),
        )
        _set(project, entry, "registration_token", "allow_runner_registration", "public")


def _add_user(gitlab: FakeGitLab, entry: Mapping[str, Any]) -> User:
    user = gitlab.add_user(entry["username"], admin=entry.get("admin", False), auditor=entry.get("auditor", False))
    for token in entry.get("tokens", []):
        gitlab.add_token(user, token["scopes"], value=token["value"], lifetime=token.get("lifetime"))
        gitlab.access_tokens[token["value"]].revoked = token.get("revoked", False)
    return user


def _members(users: Mapping[str, User], entry: Mapping[str, Any]) -> dict[User, Role]:
    return {users[username]: Role[role.upper()] for username, role in entry.get("members", {}).items()}


def _set(namespace: Group | Project, entry: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if name in entry:
            setattr(namespace, name, entry[name])
