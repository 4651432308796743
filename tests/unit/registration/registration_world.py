# SPDX-License-Identifier: GPL-3.0-or-later
"""A small world for registration: Pis with a file in memory, a fake GitLab over real HTTP, runs that can be disturbed.

A run is the action's own logic (register with the real GitLab client); only the file port is a stand-in, with the
same compare-and-swap. Every request and every file operation is an event of the run. A disturbance may strike before
or after the n-th event: a kill, another operator's whole run, or whatever a test passes in.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import parse
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import Answer, Transport, Unreached
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import FilePort, Outcome, register
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import AuthMethod
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import desired_runner
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile, HostFileConflict, HostFileError
from fake_gitlab import FakeGitLab, Role
from fake_gitlab.namespaces import Group, Project
from fake_gitlab.runners import Runner
from fake_gitlab.settings import Settings

PROJECT, GROUP = 42, 7
PLACES: dict[str, dict[str, Any]] = {
    "project_type": {"runner_type": "project_type", "project_id": PROJECT},
    "group_type": {"runner_type": "group_type", "group_id": GROUP},
    "instance_type": {"runner_type": "instance_type"},
}
LISTS = {
    "project_type": f"/api/v4/projects/{PROJECT}/runners",
    "group_type": f"/api/v4/groups/{GROUP}/runners",
    "instance_type": "/api/v4/runners/all",
}
CREATIONS = ("/user/runners", "/runners")
SCOPES = ("create_runner", "manage_runner", "read_api")
NEWEST = os.environ.get("PIFLEET_GITLAB_VERSION") or Settings().version
"""The GitLab of all tests that do not go through VERSIONS."""
VERSIONS = ("16.11.0", "17.11.0", "18.11.0", "19.1.0", Settings().version)
"""The oldest GitLab that is supported, those where its answers change, and the newest."""
SHOWS_MANAGERS = VERSIONS[1:]
"""Those that say which machines run a runner."""


class Killed(BaseException):
    """SIGKILL: no handler of the code under test may catch it."""


@dataclass
class Pi:
    """A host: its name in the inventory, its board, and its card."""

    name: str
    system_id: str
    content: str | None = None
    seeded: bool = False

    def reflash(self, system_id: str | None = None) -> None:
        """A new card; with a system id also a new board."""
        self.content, self.seeded, self.system_id = None, False, system_id or self.system_id

    @property
    def entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = parse(self.content or "").get("runners", [])
        return found

    def named(self, name: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry.get("name") == name]

    def port(self, run: Run, *, full: bool = False) -> FilePort:
        """What a run of registration gets. full: nothing can be written."""
        return MemoryFile(self, run, full)


MakePi = Callable[[str, str], Pi]
"""From a name in the inventory and what its board is called to a Pi, or to what stands for one."""


@dataclass
class Run:
    """One run's events and what disturbs it. `strikes` maps (event number, "before" or "after") to what happens."""

    strikes: Mapping[tuple[int, str], Callable[[], None]] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)

    def event(self, name: str, do: Callable[[], Any]) -> Any:
        number = len(self.events)
        self.events.append(name)
        self.strike(number, "before")
        result = do()
        self.strike(number, "after")
        return result

    def strike(self, number: int, when: str) -> None:
        strike = self.strikes.get((number, when))
        if strike:
            strike()


@dataclass
class MemoryFile:
    """The FilePort of a Pi in memory; the disk may be full."""

    pi: Pi
    run: Run
    full: bool = False
    seeded: bool = False
    """By this run."""

    def read(self) -> HostFile:
        found: HostFile = self.run.event("read", self._look)
        return found

    def replace(self, seen: HostFile, content: str) -> HostFile:
        def write() -> HostFile:
            if self._look().sha256 != seen.sha256:
                raise HostFileConflict("changed")
            if self.full:
                raise HostFileError("No space left on device.")
            self.seeded = self.seeded or not self.pi.seeded
            self.pi.content, self.pi.seeded = content, True
            return self._look()

        written: HostFile = self.run.event("write", write)
        return written

    def remove(self, seen: HostFile) -> HostFile:
        def remove() -> HostFile:
            if self.pi.content is not None and self._look().sha256 != seen.sha256:
                raise HostFileConflict("changed")
            self.pi.content, self.pi.seeded = None, self.pi.seeded and not seen.made_system_id
            self.seeded = False
            return self._look()

        removed: HostFile = self.run.event("remove", remove)
        return removed

    def _look(self) -> HostFile:
        content = self.pi.content
        digest = None if content is None else hashlib.sha256(content.encode()).hexdigest()
        return HostFile(
            "/etc/gitlab-runner/config.toml",
            content is not None,
            content or "",
            digest,
            self.pi.system_id,
            self.pi.seeded,
            made_system_id=self.seeded,
        )


@dataclass(frozen=True)
class Breakdown:
    """From the `nth` request on `url` is asked instead of GitLab, or (None) every answer comes too late."""

    nth: int
    url: str | None


class WatchedTransport(Transport):
    """The real transport, each exchange an event. A late creation is one that GitLab carries out after we gave up."""

    def __init__(
        self,
        url: str,
        token: str | None,
        run: Run,
        late: list[Callable[[], Any]] | None,
        breakdown: Breakdown | None = None,
    ) -> None:
        super().__init__(url, token, verify=True, timeout=10)
        self._run = run
        self._late = late
        self._breakdown = breakdown
        self._requests = 0

    def request(self, method: str, path: str, **options: Any) -> Answer:
        def send() -> Answer:
            return super(WatchedTransport, self).request(method, path, **options)

        def send_in_vain() -> Answer:
            if self._breakdown and self._breakdown.url:
                return Transport(self._breakdown.url, None, verify=True, timeout=10).request(method, path, **options)
            send()
            raise Unreached("it did not answer in time", perhaps_done=True)

        self._requests += 1
        if self._late is not None and method == "post" and path in CREATIONS:
            self._late.append(send)
            raise Unreached("it did not answer in time", perhaps_done=True)
        broken = self._breakdown is not None and self._requests >= self._breakdown.nth
        answer: Answer = self._run.event(f"{method} {path}", send_in_vain if broken else send)
        return answer


@dataclass
class World:
    """One GitLab with a group and a project in it, one operator's API token, and Pis whose runners are of one kind."""

    gitlab: FakeGitLab
    url: str
    kind: str = "project_type"
    token: str = ""
    version: str = NEWEST
    make_pi: MakePi = Pi
    late: list[Callable[[], Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gitlab.reset()
        self.gitlab.settings.allow_registration_tokens = True
        self.gitlab.settings.version = self.version
        alice = self.gitlab.add_user("alice", admin=self.kind == "instance_type")
        self.group = self.gitlab.add_group("fleet", group_id=GROUP, members={alice: Role.OWNER})
        self.project = self.gitlab.add_project("fleet/pis", group=self.group, project_id=PROJECT)
        # before 17.1 no token of less scope may change a runner
        self.token = self.gitlab.add_token(alice, ["api"] if self.version == VERSIONS[0] else SCOPES)

    @property
    def owner(self) -> Group | Project | None:
        """Whose the runners are."""
        return {"project_type": self.project, "group_type": self.group}.get(self.kind)

    def by_hand(self, **attributes: Any) -> Runner:
        """A runner that a person makes in the web page, where ours are."""
        return self.gitlab.create_runner(self.kind, owner=self.owner, **attributes)

    def options(
        self, name: str = "docker", way: AuthMethod = AuthMethod.API, token: str = "", **changes: Any
    ) -> dict[str, Any]:
        """The options of a run. `token`: the ready-made one, for that way in."""
        options: dict[str, Any] = {"name": name, "url": self.url}
        if way is AuthMethod.API:
            options |= {"api_token": self.token, **PLACES[self.kind]}
        elif way is AuthMethod.REGISTRATION:
            options["registration_token"] = (self.owner or self.gitlab.settings).registration_token
        else:
            options["token"] = token
        if way is not AuthMethod.RUNNER:
            options["tag_list"] = ["arm64", "rpi"]
        return {**options, **changes}

    def register(
        self,
        pi: Pi,
        *,
        run: Run | None = None,
        check: bool = False,
        full: bool = False,
        late: bool = False,
        breakdown: Breakdown | None = None,
        **changes: Any,
    ) -> Outcome:
        """One run of the action's logic for one runner of a Pi."""
        options = self.options(**changes)
        run = run or Run()
        wanted = desired_runner(options, pi.name)
        late_ones = self.late if late else None
        transport = WatchedTransport(self.url, options.get("api_token"), run, late_ones, breakdown)
        gitlab = GitLab(transport, sleep=lambda _seconds: None, monotonic=lambda: self.gitlab.clock.now().timestamp())
        return register(wanted, pi.port(run, full=full), gitlab, run=secrets.token_hex(4), check_mode=check)

    def arrive(self) -> None:
        """GitLab carries out what it had still to do."""
        while self.late:
            self.late.pop(0)()

    def with_key(self, key: str) -> list[int]:
        mark = f"pifleet.ci: {key}"
        runners = self.gitlab.runners.values()
        return [runner.id for runner in runners if mark in (runner.maintenance_note or "").splitlines()]

    def heartbeat(self, runner_id: int, system_id: str) -> None:
        """The runner's own process asks for a job."""
        self.gitlab.heartbeat(self.gitlab.runners[runner_id], system_id, "192.0.2.7", {"version": "19.3.0"})

    def requests(self) -> list[str]:
        return [f"{entry.method} {entry.path.removeprefix('/api/v4')}" for entry in self.gitlab.journal]
