# SPDX-License-Identifier: GPL-3.0-or-later
"""All that this GitLab knows, and what people do to it other than through the API."""

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
from fake_gitlab.runners import EDITABLE_ATTRIBUTES, RUNNER_TYPES, Manager, Runner, assign
from fake_gitlab.settings import Settings

Hook = Callable[[Entry], None]


class FakeGitLab:
    """The state, free of any web framework. Hold `lock` for several steps that no request may come between.

    `before_request` is called when a request has come in, `after_commit` when it has been carried out and before the
    reply leaves. Both run in the server's thread and hold up all other requests.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.journal = Journal()
        self.faults = Faults()
        self.before_request: Hook | None = None
        self.after_commit: Hook | None = None
        self.resets = 0
        """Counts resets, so that a request which was held back meanwhile does not reach the instance after it."""
        self.reset()

    def reset(self) -> None:
        """An empty, fault-free instance again, with the machine's time and without hooks."""
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
        """Whether the release that this instance is behaves in the newer way; `versions.DIFFERENCES` has the names."""
        return versions.has(self.settings.version, difference)

    # People, groups and projects

    def add_user(self, username: str, *, admin: bool = False, auditor: bool = False) -> User:
        user = User(self._next_id("user"), username, admin, auditor)
        self.users[user.id] = user
        return user

    def add_token(
        self, user: User, scopes: Iterable[str] = ("api",), *, value: str = "", lifetime: float | None = None
    ) -> str:
        """A personal access token of the user; `lifetime` in seconds. Returns its text."""
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
        """A project, in a group or (None) in somebody's own namespace."""
        project = Project(project_id or self._next_id("project", self.projects), path, group.id if group else None)
        project.members = {user.id: role for user, role in (members or {}).items()}
        project.registration_token = tokens.registration_token()
        self.projects[project.id] = project
        return project

    def delete_project(self, project_id: int) -> None:
        """With what the background jobs do then. (`del projects[id]` is the moment before they run.)

        The oldest of the other projects of a runner becomes its owner. A runner without any is an orphan or goes.
        """
        del self.projects[project_id]
        for runner in [runner for runner in self.runners.values() if project_id in runner.project_ids]:
            runner.project_ids.remove(project_id)
            self._delete_if_orphaned(runner)

    def delete_group(self, group_id: int) -> None:
        """With the groups and projects below it."""
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
        """The group and those above it."""
        while group_id is not None and (group := self.groups.get(group_id)):
            yield group
            group_id = group.parent_id

    def namespaces(self) -> Iterator[Group | Project]:
        yield from self.groups.values()
        yield from self.projects.values()

    def find_group(self, reference: object) -> Group | None:
        """By id, or by path."""
        return next((found for found in self.groups.values() if str(reference) in (str(found.id), found.path)), None)

    def find_project(self, reference: object) -> Project | None:
        """By id, or by path with its namespace."""
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
        """A new runner, as the web page or the API makes it; `registered` says that a registration token was used."""
        if runner_type not in RUNNER_TYPES:
            raise ValueError(f"no such runner type: {runner_type}")
        if not isinstance(owner, {"group_type": Group, "project_type": Project}.get(runner_type, type(None))):
            raise ValueError(f"{runner_type} does not fit the owner {owner}")
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
        assign(runner, attributes)
        self._issue_token(runner)
        self.runners[runner.id] = runner
        return runner

    def edit_runner(self, runner_id: int, **attributes: Any) -> Runner:
        runner = self.runners[runner_id]
        assign(runner, attributes)
        runner.updated_at = self.clock.now()
        self.tick_runner_queue()
        return runner

    def reset_runner_token(self, runner_id: int) -> str:
        """A new token; the old one is void from now on."""
        runner = self.runners[runner_id]
        self._issue_token(runner)
        runner.updated_at = self.clock.now()
        return runner.token

    def delete_runner(self, runner_id: int) -> None:
        del self.runners[runner_id]

    def duplicate_runner(self, runner_id: int) -> Runner:
        """A second runner with the same attributes, as a person makes who fills in the form twice."""
        first = self.runners[runner_id]
        attributes = {name: getattr(first, name) for name in EDITABLE_ATTRIBUTES}
        return self.create_runner(first.runner_type, owner=self.owner(first), created_by=first.created_by, **attributes)

    def owner(self, runner: Runner) -> Group | Project | None:
        """The group it was made in, or the oldest of its projects; None for the instance's runners and for orphans."""
        if runner.runner_type == "group_type":
            return self.groups.get(runner.group_id or 0)
        return next((self.projects[id_] for id_ in runner.project_ids if id_ in self.projects), None)

    def available_runners(self, namespace: Group | Project) -> list[Runner]:
        """Its own, those of the groups above it, and the instance's; not those below a group."""
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
        """The group's own, and those of the groups and projects below it."""

        def below(group_id: int | None) -> bool:
            return group.id in (ancestor.id for ancestor in self.self_and_ancestors(group_id))

        projects = {project.id for project in self.projects.values() if below(project.group_id)}
        return [
            runner
            for runner in self.runners.values()
            if below(runner.group_id) or projects.intersection(runner.project_ids)
        ]

    def heartbeat(
        self, runner: Runner, system_id: str, ip_address: str, info: dict[str, Any], *, contact: bool = True
    ) -> Manager:
        """What every contact of a runner does: touch it, and make or touch the manager of that system id.

        Without `contact` the manager is made and told of, but no time is noted.
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
        """The runner whose token this is; an expired token is nobody's."""
        now = self.clock.now()
        for runner in self.runners.values():
            if runner.token == token:
                return None if runner.token_expired(now) else runner
        return None

    def is_orphaned(self, runner: Runner) -> bool:
        """Whether the group or all projects that it belonged to are gone."""
        return runner.runner_type != "instance_type" and self.owner(runner) is None

    def is_busy(self, runner: Runner, system_id: str | None = None, statuses: Container[str] = RUNNING) -> bool:
        """Whether the runner (or one of its managers) has a job in one of these statuses."""
        return any(
            job.status in statuses and job.runner_id == runner.id and system_id in (None, job.system_id)
            for job in self.jobs.values()
        )

    def owning_groups(self, runner: Runner) -> Iterator[Group]:
        """The group that owns the runner, or the one its project is in, and those above."""
        owner = self.owner(runner)
        if owner is None:
            return iter(())
        return self.self_and_ancestors(owner.group_id if isinstance(owner, Project) else owner.id)

    # Jobs

    def add_job(self, project: Project, script: Iterable[str], *, name: str = "job", **details: Any) -> Job:
        """Put a job into the queue; `details` are further fields of `Job`, as `image` and `tag_list`."""
        job = Job(self._next_id("job"), tokens.job_token(), project.id, self.clock.now(), name, list(script), **details)
        self.jobs[job.id] = job
        self.tick_runner_queue()
        return job

    def cancel_job(self, job_id: int) -> Job:
        """As the button does: a running job may still run its after_script if its manager can do so."""
        job = self.jobs[job_id]
        runner = self.runners.get(job.runner_id or 0)
        manager = runner.managers.get(job.system_id or "") if runner else None
        if job.status == "running" and manager is not None and manager.cancel_gracefully:
            job.status = "canceling"
        elif job.is_running or job.status == "pending":
            job.finish("canceled", self.clock.now())
        return job

    def tick_runner_queue(self) -> None:
        """Have every runner look into the queue again."""
        self._queue_ticks += 1

    def runner_queue_value(self, runner: Runner) -> str:
        """What GitLab calls the queue's last update, as this runner sees it."""
        return f"{runner.id:x}-{self._queue_ticks:032x}"

    def _issue_token(self, runner: Runner) -> None:
        if runner.registered:
            runner.token = tokens.registered_runner_token(self.settings.token_style, runner.runner_type)
        else:
            runner.token = tokens.runner_token(self.settings.token_style, runner.runner_type)
        lifetimes = [self.settings.token_lifetime, *(group.token_lifetime for group in self.owning_groups(runner))]
        limits = [seconds for seconds in lifetimes if seconds is not None]
        runner.token_expires_at = self.clock.now() + timedelta(seconds=min(limits)) if limits else None

    def _next_id(self, kind: str, taken: Container[int] = ()) -> int:
        return next(number for number in self._ids[kind] if number not in taken)
