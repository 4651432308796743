# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication and permissions of the user API: the access token's scopes first, then the user's role."""

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
    """The authenticated user of a request (GitLab: `current_user`) and what they are permitted."""

    gitlab: FakeGitLab
    user: User
    is_admin: bool
    """Whether administrator rights apply: with admin mode on, only for tokens with the scope `admin_mode`."""

    def role_in(self, namespace: Group | Project) -> int:
        """The highest role in the namespace or its ancestor groups; 0 without membership."""
        group_id = namespace.group_id if isinstance(namespace, Project) else namespace.id
        sources: list[Group | Project] = [namespace, *self.gitlab.self_and_ancestors(group_id)]
        return max(source.members.get(self.user.id, 0) for source in sources)

    def may_create(self, runner_type: str, owner: Group | Project | None) -> bool:
        if self.is_admin:
            return True
        if owner is None:
            return False
        required = Role.OWNER if isinstance(owner, Group) else Role.MAINTAINER
        group_id = owner.group_id if isinstance(owner, Project) else owner.id
        allowed = owner.allow_runner_registration and all(
            group.allow_runner_registration for group in self.gitlab.self_and_ancestors(group_id)
        )
        return allowed and self.role_in(owner) >= required

    def may_read(self, runner: Runner) -> bool:
        if self.is_admin or self.user.auditor or runner.runner_type == "instance_type":
            return True
        return any(self.role_in(owner) >= Role.MAINTAINER for owner in self._owners(runner))

    def owns(self, runner: Runner) -> bool:
        """Whether the role in the runner's group (Owner) or in one of its projects (Maintainer) permits changing it."""
        required = Role.OWNER if runner.runner_type == "group_type" else Role.MAINTAINER
        return any(self.role_in(owner) >= required for owner in self._owners(runner))

    def may_update(self, runner: Runner) -> bool:
        """Also required to reset the token, to assign the runner, and to delete one that is in a single project."""
        return self.is_admin or self.owns(runner)

    def may_read_maintenance_note(self, runner: Runner) -> bool:
        """Assumes that `may_read` holds."""
        return self.may_update(runner) or not self.gitlab.has("maintenance_note_for_updaters_only")

    def may_delete(self, runner: Runner) -> bool:
        return self.is_admin or (self.may_update(runner) and len(runner.project_ids) <= 1)

    def may_assign(self, runner: Runner) -> bool:
        return self.is_admin or (self.may_update(runner) and not runner.locked)

    def may_read_builds(self, runner: Runner) -> bool:
        """As `may_read`, but the jobs of instance runners are for administrators and auditors only."""
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
    """The user of a user API request. Raises APIError: 401 for the token, 403 `insufficient_scope` for its scopes."""
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
    """The user of a GraphQL request, None without a token. Every unusable token is the same 401 `Invalid token`.

    Admin mode requires no scope here: `GraphqlController` bypasses it (`sessionless_bypass_admin_mode!`).
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
    """`manage_runner` is accepted only on /runners/:id and below, `create_runner` only on POST /user/runners."""
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
