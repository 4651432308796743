# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the fake GitLab, and its changes by the web page or background jobs rather than the API."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from fake_gitlab import tokens, versions
from fake_gitlab.accounts import SCOPES, AccessToken, User
from fake_gitlab.clock import Clock
from fake_gitlab.faults import Faults
from fake_gitlab.jobs import RUNNING, Job
from fake_gitlab.journal import Entry, Journal
from fake_gitlab.namespaces import Group, Project, Role
from fake_gitlab.runners import EDITABLE_ATTRIBUTES, RUNNER_TYPES, Manager, Runner, assign_attributes
from fake_gitlab.settings import Settings

Hook = Callable[[Entry], None]


class FakeGitLab:
    """The state, independent of the web framework. Hold `lock` for several changes without a request in between.

    `before_request` is called when a request arrives, `after_commit` when it has been carried out and before the reply
    is sent. Both run in the server's thread and block all other requests.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.journal = Journal()
        self.faults = Faults()
        self.before_request: Hook | None = None
        self.after_commit: Hook | None = None
        self.resets = 0
        """The number of resets; a request delayed across a reset is dropped."""
        self.reset()

    def reset(self) -> None:
        """Back to an empty instance without faults and hooks, at the system's time."""
        with self.lock:
            self.resets += 1
            self.before_request = self.after_commit = None
            self.clock.reset()
            self.faults.clear()
            self.journal.clear()
            self.settings = Settings(registration_token=tokens.registration_token())
            self.users: dict[int, User] = {}
            self.access_tokens: dict[str, AccessToken] = {}
            self.groups: dict[int, Group] = {}
            self.projects: dict[int, Project] = {}
            self.runners: dict[int, Runner] = {}
            self.jobs: dict[int, Job] = {}
            self._queue_ticks = 0
            self._ids = {kind: itertools.count(1) for kind in ("user", "group", "project", "runner", "manager", "job")}

    def has(self, difference: str) -> bool:
        """Whether the current release has the newer behaviour of that row of `versions.DIFFERENCES`."""
        return versions.has(self.settings.version, difference)

    # Users, groups and projects

    def add_user(self, username: str, *, admin: bool = False, auditor: bool = False) -> User:
        user = User(self._next_id("user"), username, admin, auditor)
        self.users[user.id] = user
        return user

    def add_token(
        self, user: User, scopes: Iterable[str] = ("api",), *, value: str = "", lifetime: float | None = None
    ) -> str:
        """Add a personal access token and return its value; `lifetime` in seconds, None: no expiry."""
        unknown = set(scopes) - set(SCOPES)
        if unknown:
            raise ValueError(f"unknown scopes: {', '.join(sorted(unknown))}")
        expires_at = None if lifetime is None else self.clock.now() + timedelta(seconds=lifetime)
        token = AccessToken(user.id, value or tokens.personal_access_token(), frozenset(scopes), expires_at)
        self.access_tokens[token.value] = token
        return token.value

    def add_group(
        self,
        path: str,
        *,
        parent: Group | None = None,
        members: Mapping[User, Role] | None = None,
        group_id: int | None = None,
    ) -> Group:
        group = Group(group_id or self._next_id("group", self.groups), path, parent.id if parent else None)
        group.members = {user.id: role for user, role in (members or {}).items()}
        group.registration_token = tokens.registration_token()
        self.groups[group.id] = group
        return group

    def add_project(
        self,
        path: str,
        *,
        group: Group | None = None,
        members: Mapping[User, Role] | None = None,
        project_id: int | None = None,
    ) -> Project:
        """Add a project to a group, or to a personal namespace (None)."""
        project = Project(project_id or self._next_id("project", self.projects), path, group.id if group else None)
        project.members = {user.id: role for user, role in (members or {}).items()}
        project.registration_token = tokens.registration_token()
        self.projects[project.id] = project
        return project

    def delete_project(self, project_id: int) -> None:
        """Delete a project and run the background jobs that follow; `del projects[id]` is the state before they ran.

        The next of a runner's projects becomes its owner. A runner without any is orphaned or deleted (see
        `runner_goes_with_its_last_project`).
        """
        del self.projects[project_id]
        for runner in [runner for runner in self.runners.values() if project_id in runner.project_ids]:
            runner.project_ids.remove(project_id)
            self._delete_if_orphaned(runner)

    def delete_group(self, group_id: int) -> None:
        """Delete a group with its descendant groups and projects, and run the background jobs that follow."""
        for child in [group.id for group in self.groups.values() if group.parent_id == group_id]:
            self.delete_group(child)
        for child in [project.id for project in self.projects.values() if project.group_id == group_id]:
            self.delete_project(child)
        del self.groups[group_id]
        for runner in [runner for runner in self.runners.values() if runner.group_id == group_id]:
            self._delete_if_orphaned(runner)

    def _delete_if_orphaned(self, runner: Runner) -> None:
        if self.is_orphaned(runner) and self.has("runner_goes_with_its_last_project"):
            self.delete_runner(runner.id)

    def self_and_ancestors(self, group_id: int | None) -> Iterator[Group]:
        """The group and its ancestors, from the innermost."""
        while group_id is not None and (group := self.groups.get(group_id)):
            yield group
            group_id = group.parent_id

    def namespaces(self) -> Iterator[Group | Project]:
        yield from self.groups.values()
        yield from self.projects.values()

    def find_group(self, reference: object) -> Group | None:
        """By id or full path."""
        return next((found for found in self.groups.values() if str(reference) in (str(found.id), found.path)), None)

    def find_project(self, reference: object) -> Project | None:
        """By id or full path."""
        return next((found for found in self.projects.values() if str(reference) in (str(found.id), found.path)), None)

    # Runners

    def create_runner(
        self,
        runner_type: str,
        *,
        owner: Group | Project | None = None,
        created_by: int | None = None,
        registered: bool = False,
        **attributes: Any,
    ) -> Runner:
        """A new runner; `registered` means with a registration token. Raises ValueError for an unfit type or owner."""
        if runner_type not in RUNNER_TYPES:
            raise ValueError(f"unknown runner type: {runner_type}")
        if not isinstance(owner, {"group_type": Group, "project_type": Project}.get(runner_type, type(None))):
            raise ValueError(f"{runner_type} cannot have the owner {owner}")
        now = self.clock.now()
        runner = Runner(
            self._next_id("runner"),
            runner_type,
            token="",
            created_at=now,
            updated_at=now,
            group_id=owner.id if isinstance(owner, Group) else None,
            project_ids=[owner.id] if isinstance(owner, Project) else [],
            created_by=created_by,
            registered=registered,
            finished=registered,
        )
        assign_attributes(runner, attributes)
        self._issue_token(runner)
        self.runners[runner.id] = runner
        return runner

    def edit_runner(self, runner_id: int, **attributes: Any) -> Runner:
        runner = self.runners[runner_id]
        assign_attributes(runner, attributes)
        runner.updated_at = self.clock.now()
        self.tick_runner_queue()
        return runner

    def reset_runner_token(self, runner_id: int) -> str:
        """Issue and return a new token; the old one is invalid at once."""
        runner = self.runners[runner_id]
        self._issue_token(runner)
        runner.updated_at = self.clock.now()
        return runner.token

    def delete_runner(self, runner_id: int) -> None:
        del self.runners[runner_id]

    def duplicate_runner(self, runner_id: int) -> Runner:
        """A second runner with the same attributes, as when the form of the web page is submitted twice."""
        original = self.runners[runner_id]
        attributes = {name: getattr(original, name) for name in EDITABLE_ATTRIBUTES}
        return self.create_runner(
            original.runner_type, owner=self.owner(original), created_by=original.created_by, **attributes
        )

    def owner(self, runner: Runner) -> Group | Project | None:
        """The runner's group, or the first of its projects; None for instance runners and orphaned ones."""
        if runner.runner_type == "group_type":
            return self.groups.get(runner.group_id or 0)
        return next((self.projects[id_] for id_ in runner.project_ids if id_ in self.projects), None)

    def available_runners(self, namespace: Group | Project) -> list[Runner]:
        """The namespace's own runners, those of its ancestor groups, and the instance runners; none of descendants."""
        group_id = namespace.group_id if isinstance(namespace, Project) else namespace.id
        groups = {group.id for group in self.self_and_ancestors(group_id)}
        return [
            runner
            for runner in self.runners.values()
            if runner.runner_type == "instance_type"
            or runner.group_id in groups
            or (isinstance(namespace, Project) and namespace.id in runner.project_ids)
        ]

    def descendant_runners(self, group: Group) -> list[Runner]:
        """The runners of the group and of its descendant groups and projects."""

        def in_group(group_id: int | None) -> bool:
            return group.id in (ancestor.id for ancestor in self.self_and_ancestors(group_id))

        projects = {project.id for project in self.projects.values() if in_group(project.group_id)}
        return [
            runner
            for runner in self.runners.values()
            if in_group(runner.group_id) or projects.intersection(runner.project_ids)
        ]

    def heartbeat(
        self, runner: Runner, system_id: str, ip_address: str, info: dict[str, Any], *, contact: bool = True
    ) -> Manager:
        """Update the runner and the manager of that system id, which is created if missing (GitLab: `heartbeat`).

        `info` is the `info` of the request. Without `contact` no `contacted_at` is updated.
        """
        now = self.clock.now()
        if contact:
            runner.heartbeat(now)
        manager = runner.managers.get(system_id)
        if manager is None:
            manager = Manager(self._next_id("manager"), system_id, now)
            runner.managers[system_id] = manager
        manager.heartbeat(now, ip_address, info, contact=contact)
        return manager

    def runner_by_token(self, token: str) -> Runner | None:
        """The runner with this token, None if there is none or the token has expired."""
        now = self.clock.now()
        for runner in self.runners.values():
            if runner.token == token:
                return None if runner.token_expired(now) else runner
        return None

    def is_orphaned(self, runner: Runner) -> bool:
        """Whether its group or all of its projects have been deleted."""
        return runner.runner_type != "instance_type" and self.owner(runner) is None

    def is_busy(self, runner: Runner, system_id: str | None = None, statuses: Container[str] = RUNNING) -> bool:
        """Whether the runner, or only its manager with `system_id`, has a job in one of these statuses."""
        return any(
            job.status in statuses and job.runner_id == runner.id and system_id in (None, job.system_id)
            for job in self.jobs.values()
        )

    def owning_groups(self, runner: Runner) -> Iterator[Group]:
        """The owner group, or the group of the owner project, and its ancestors."""
        owner = self.owner(runner)
        if owner is None:
            return iter(())
        return self.self_and_ancestors(owner.group_id if isinstance(owner, Project) else owner.id)

    # Jobs

    def add_job(self, project: Project, script: Iterable[str], *, name: str = "job", **details: Any) -> Job:
        """Queue a job; `details` are further fields of `Job`, such as `image` and `tag_list`."""
        job = Job(self._next_id("job"), tokens.job_token(), project.id, self.clock.now(), name, list(script), **details)
        self.jobs[job.id] = job
        self.tick_runner_queue()
        return job

    def cancel_job(self, job_id: int) -> Job:
        """Cancel a job; one that runs on a manager with the feature `cancel_gracefully` is `canceling` first."""
        job = self.jobs[job_id]
        runner = self.runners.get(job.runner_id or 0)
        manager = runner.managers.get(job.system_id or "") if runner else None
        if job.status == "running" and manager is not None and manager.cancel_gracefully:
            job.status = "canceling"
        elif job.is_running or job.status == "pending":
            job.finish("canceled", self.clock.now())
        return job

    def tick_runner_queue(self) -> None:
        """Change every runner's queue value, so that all of them are offered jobs again."""
        self._queue_ticks += 1

    def runner_queue_value(self, runner: Runner) -> str:
        """The value of `X-GitLab-Last-Update` for this runner."""
        return f"{runner.id:x}-{self._queue_ticks:032x}"

    def _issue_token(self, runner: Runner) -> None:
        if runner.registered:
            runner.token = tokens.registered_runner_token(self.settings.token_style, runner.runner_type)
        else:
            runner.token = tokens.runner_token(self.settings.token_style, runner.runner_type)
        lifetimes = [self.settings.token_lifetime, *(group.token_lifetime for group in self.owning_groups(runner))]
        finite = [seconds for seconds in lifetimes if seconds is not None]
        runner.token_expires_at = self.clock.now() + timedelta(seconds=min(finite)) if finite else None

    def _next_id(self, kind: str, taken: Container[int] = ()) -> int:
        return next(number for number in self._ids[kind] if number not in taken)
