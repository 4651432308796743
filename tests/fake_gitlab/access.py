# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks, and what GitLab lets them do: token scopes first, roles second."""

from __future__ import annotations

from dataclasses import dataclass

from fake_gitlab import errors
from fake_gitlab.accounts import AccessToken, User
from fake_gitlab.endpoint import API, Call
from fake_gitlab.namespaces import Group, Project, Role
from fake_gitlab.runners import Runner
from fake_gitlab.state import FakeGitLab


@dataclass(frozen=True)
class Caller:
    """A user who has been let in. All questions about permissions are asked here."""

    gitlab: FakeGitLab
    user: User
    is_admin: bool
    """An administrator who may act as one with this token."""

    def role_in(self, namespace: Group | Project) -> int:
        """The highest role held there or above; 0 for none."""
        group_id = namespace.group_id if isinstance(namespace, Project) else namespace.id
        holders: list[Group | Project] = [namespace, *self.gitlab.self_and_ancestors(group_id)]
        return max(holder.members.get(self.user.id, 0) for holder in holders)

    def may_create(self, runner_type: str, owner: Group | Project | None) -> bool:
        if self.is_admin:
            return True
        if owner is None:
            return False
        needed = Role.OWNER if isinstance(owner, Group) else Role.MAINTAINER
        group_id = owner.group_id if isinstance(owner, Project) else owner.id
        allowed = owner.allow_runner_registration and all(
            group.allow_runner_registration for group in self.gitlab.self_and_ancestors(group_id)
        )
        return allowed and self.role_in(owner) >= needed

    def may_read(self, runner: Runner) -> bool:
        if self.is_admin or self.user.auditor or runner.runner_type == "instance_type":
            return True
        return any(self.role_in(owner) >= Role.MAINTAINER for owner in self._owners(runner))

    def may_update(self, runner: Runner) -> bool:
        """Also what it takes to reset the token, to assign, and (if in one project only) to delete."""
        if self.is_admin:
            return True
        needed = Role.OWNER if runner.runner_type == "group_type" else Role.MAINTAINER
        return any(self.role_in(owner) >= needed for owner in self._owners(runner))

    def may_read_maintenance_note(self, runner: Runner) -> bool:
        """For a reader of the runner."""
        return self.may_update(runner) or not self.gitlab.has("maintenance_note_for_updaters_only")

    def may_delete(self, runner: Runner) -> bool:
        return self.is_admin or (self.may_update(runner) and len(runner.project_ids) <= 1)

    def may_assign(self, runner: Runner) -> bool:
        return self.is_admin or (self.may_update(runner) and not runner.locked)

    def may_read_builds(self, runner: Runner) -> bool:
        """As reading, but everybody's instance runners show their jobs to administrators only."""
        return self.may_read(runner) and (self.is_admin or self.user.auditor or runner.runner_type != "instance_type")

    def may_list_runners_of(self, namespace: Group | Project) -> bool:
        if self.is_admin or self.user.auditor:
            return True
        return self.role_in(namespace) >= (Role.OWNER if isinstance(namespace, Group) else Role.MAINTAINER)

    def may_see(self, namespace: Group | Project) -> bool:
        return namespace.public or self.is_admin or self.user.auditor or self.role_in(namespace) > 0

    def _owners(self, runner: Runner) -> list[Group | Project]:
        groups = [self.gitlab.groups[runner.group_id]] if runner.group_id in self.gitlab.groups else []
        return [*groups, *(self.gitlab.projects[id_] for id_ in runner.project_ids if id_ in self.gitlab.projects)]


def authenticate(gitlab: FakeGitLab, call: Call) -> Caller:
    """The user behind the token of a user API request. Raises the 401s, and the 403 for a token of too little scope."""
    token = gitlab.access_tokens.get(_access_token(call))
    if token is None:
        raise errors.unauthorized()
    user = gitlab.users[token.user_id]
    call.user = user.username
    if token.revoked:
        raise errors.invalid_token("Token was revoked. You have to re-authorize from the user.")
    if token.expired(gitlab.clock.now()):
        raise errors.invalid_token("Token is expired. You can either do re-authorization or token refresh.")
    accepted = _accepted_scopes(gitlab, call)
    if not token.scopes.intersection(accepted):
        raise errors.insufficient_scope(accepted)
    return Caller(gitlab, user, user.admin and _admin_mode(gitlab, token))


def authenticate_graphql(gitlab: FakeGitLab, call: Call) -> Caller | None:
    """The user behind the token, None without one. Whatever is wrong with a token is the same 401.

    Admin mode asks no scope of tokens here: `GraphqlController` bypasses it (`sessionless_bypass_admin_mode!`).
    """
    value = _access_token(call)
    if not value:
        return None
    token = gitlab.access_tokens.get(value)
    if token is None or not token.active(gitlab.clock.now()) or not token.scopes & {"api", "read_api"}:
        raise errors.graphql(401, "Invalid token")
    user = gitlab.users[token.user_id]
    call.user = user.username
    return Caller(gitlab, user, user.admin)


def _admin_mode(gitlab: FakeGitLab, token: AccessToken) -> bool:
    return not gitlab.settings.admin_mode or "admin_mode" in token.scopes


def _access_token(call: Call) -> str:
    scheme, _, bearer = call.headers.get("authorization", "").partition(" ")
    return (
        call.headers.get("private-token")
        or str(call.params.get("private_token") or call.params.get("access_token") or "")
        or (bearer.strip() if scheme.lower() == "bearer" else "")
    )


def _accepted_scopes(gitlab: FakeGitLab, call: Call) -> list[str]:
    """`manage_runner` opens only paths below /runners/ that name a runner, `create_runner` only the creation."""
    scopes = ["api"]
    if call.method in ("GET", "HEAD"):
        scopes.append("read_api")
    if gitlab.has("manage_runner_scope") and call.path.startswith(f"{API}/runners/") and "id" in call.params:
        scopes.append("manage_runner")
    if call.path in (f"{API}/user", f"{API}/version"):
        scopes.append("read_user")
    if gitlab.has("create_runner_scope") and call.path == f"{API}/user/runners" and call.method == "POST":
        scopes.append("create_runner")
    return scopes
