# SPDX-License-Identifier: GPL-3.0-or-later
"""A small world for registration: Pis with a file in memory, a fake GitLab over real HTTP, runs that can be disturbed.

A run is the action's own logic (register with the real GitLab client); only the file port is a stand-in, with the
same compare-and-swap. Every request and every file operation is an event of the run. A disturbance may strike before
or after the n-th event: a kill, another operator's whole run, or whatever a test passes in.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config_document import parse
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab_transport import Answer, Transport, Unreached
from ansible_collections.pifleet.ci.plugins.plugin_utils._host_file import HostFile, HostFileConflict, HostFileError
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration import Outcome, register
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration_wanted import wanted_runner
from fake_gitlab import FakeGitLab, Role

PROJECT = 42
SCOPES = ("create_runner", "manage_runner", "read_api")


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

    def read(self) -> HostFile:
        found: HostFile = self.run.event("read", self._look)
        return found

    def replace(self, seen: HostFile, content: str) -> HostFile:
        def write() -> HostFile:
            if self._look().sha256 != seen.sha256:
                raise HostFileConflict("changed")
            if self.full:
                raise HostFileError("No space left on device.")
            self.pi.content, self.pi.seeded = content, True
            return self._look()

        written: HostFile = self.run.event("write", write)
        return written

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
        )


class WatchedTransport(Transport):
    """The real transport, each exchange an event. A late creation is one that GitLab carries out after we gave up."""

    def __init__(self, url: str, token: str | None, run: Run, late: list[Callable[[], Any]] | None) -> None:
        super().__init__(url, token, verify=True, timeout=10)
        self._run = run
        self._late = late

    def request(self, method: str, path: str, **options: Any) -> Answer:
        def send() -> Answer:
            return super(WatchedTransport, self).request(method, path, **options)

        if self._late is not None and path == "/user/runners":
            self._late.append(send)
            raise Unreached("it did not answer in time", perhaps_done=True)
        answer: Answer = self._run.event(f"{method} {path}", send)
        return answer


@dataclass
class World:
    """One GitLab with one project, one operator's API token, and Pis."""

    gitlab: FakeGitLab
    url: str
    token: str = ""
    late: list[Callable[[], Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gitlab.reset()
        alice = self.gitlab.add_user("alice")
        self.project = self.gitlab.add_project("fleet/pis", project_id=PROJECT, members={alice: Role.OWNER})
        self.token = self.gitlab.add_token(alice, SCOPES)

    def options(self, name: str = "docker", **changes: Any) -> dict[str, Any]:
        options = {
            "name": name,
            "url": self.url,
            "api_token": self.token,
            "runner_type": "project_type",
            "project_id": PROJECT,
            "tag_list": ["arm64", "rpi"],
        }
        return {**options, **changes}

    def register(
        self,
        pi: Pi,
        *,
        run: Run | None = None,
        check: bool = False,
        full: bool = False,
        late: bool = False,
        **changes: Any,
    ) -> Outcome:
        """One run of the action's logic for one runner of a Pi."""
        options = self.options(**changes)
        run = run or Run()
        wanted = wanted_runner(options, pi.name)
        transport = WatchedTransport(self.url, options["api_token"], run, self.late if late else None)
        gitlab = GitLab(transport, sleep=lambda _seconds: None)
        return register(wanted, MemoryFile(pi, run, full), gitlab, run=secrets.token_hex(4), check=check)

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
