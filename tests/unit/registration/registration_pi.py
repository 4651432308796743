# SPDX-License-Identifier: GPL-3.0-or-later
"""A Pi with two at work on one config.toml: our registration and GitLab Runner, the file on disk, GitLab over HTTP."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.module_utils import _atomic_file as atomic_file
from ansible_collections.pifleet.ci.plugins.module_utils import _system_id
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import merge, parse
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import register
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import AuthMethod
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import desired_runner
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile, HostFileConflict
from fake_gitlab.runners import Runner
from registration_world import Killed, Run, WatchedTransport, World
from unit.runner_standin.standin_pi import Pi, eventually

HOST = "pi-01"
SERIAL = "100000006b8b4567"


@dataclasses.dataclass
class KilledAfter(Run):
    """A run that is killed when GitLab has carried out one request of it, before it learns of that."""

    request: str = ""

    def event(self, name: str, do: Callable[[], Any]) -> Any:
        result = super().event(name, do)
        if name.endswith(f" {self.request}"):
            raise Killed
        return result


@dataclasses.dataclass(frozen=True)
class DiskFile:
    """The FilePort of a Pi, by the code that runs on Pis."""

    path: Path

    def read(self) -> HostFile:
        seen = atomic_file.read_filled(str(self.path))
        system_id, seeded = _system_id.find_system_id(str(self.path.parent))
        text = (seen.content or b"").decode()
        return HostFile(str(self.path), seen.content is not None, text, seen.sha256, system_id, seeded)

    def replace(self, seen: HostFile, content: str) -> HostFile:
        _system_id.seed_system_id(str(self.path.parent), seen.system_id, check=False)
        try:
            atomic_file.replace(str(self.path), content.encode(), expected_sha256=seen.sha256 or "absent")
        except atomic_file.FileConflict as conflict:
            raise HostFileConflict(str(conflict)) from conflict
        return self.read()

    def remove(self, seen: HostFile) -> HostFile:
        try:
            atomic_file.remove(str(self.path), expected_sha256=seen.sha256 or "absent")
        except atomic_file.FileConflict as conflict:
            raise HostFileConflict(str(conflict)) from conflict
        return self.read()


@dataclasses.dataclass(kw_only=True)
class RegisteredPi(Pi):
    """The folder, GitLab Runner's process in it, and runs of ours that come by."""

    world: World

    def register(self, run: Run | None = None, **changes: Any) -> list[str]:
        """One run of the registration; what it did."""
        options = self.world.options(**changes)
        transport = WatchedTransport(self.url, options.get("api_token"), run or Run(), None)
        gitlab = GitLab(transport, sleep=lambda _seconds: None)
        wanted = desired_runner(options, HOST)
        return register(wanted, DiskFile(self.config), gitlab, run=secrets.token_hex(4)).actions

    def play(self, **changes: Any) -> list[str]:
        """One run of the registration, and of what the role does next: the entries become usable."""
        actions = self.register(**changes)
        file = DiskFile(self.config)
        seen = file.read()
        settings = {"concurrent": 2, "check_interval": 1}
        usable = {"executor": "shell", "builds_dir": f"{self.folder}/builds"}
        entries = [{"name": entry["name"], **usable} for entry in self.entries]
        content = merge(seen.content, settings=settings, runners=entries)
        if content != seen.content:
            file.replace(seen, content)
        return actions

    @property
    def entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = parse(DiskFile(self.config).read().content)["runners"]
        return found

    @property
    def system_id(self) -> str:
        return (self.folder / ".runner_system_id").read_text()

    def runner(self, name: str = "docker") -> Runner:
        """The runner in GitLab whose working token stands in the one entry of that name."""
        (entry,) = [entry for entry in self.entries if entry["name"] == name]
        runner = self.world.gitlab.runner_by_token(entry["token"])
        assert runner is not None, "the file's token does not work"
        assert runner.id == entry["id"]
        return runner

    def wrote_another(self, token: str) -> bool:
        """Whether the process has saved the file with another token. It writes in place: for a moment there is none."""
        text = self.config.read_text()
        return "token = " in text and token not in text

    def stays(self, name: str = "docker", **changes: Any) -> Runner:
        """GitLab holds that one runner of ours and no other, and another run has nothing to do."""
        runner = self.runner(name)
        ours = [] if changes.get("way") is AuthMethod.RUNNER else [runner.id]
        assert self.world.with_key(f"default/{HOST}/{name}") == ours
        before = self.config.read_bytes()
        assert self.play(name=name, **changes) == []
        assert self.config.read_bytes() == before
        return runner

    def takes_a_job(self, name: str = "docker") -> None:
        """The process, started once and never again, asks with the file's token and as this machine."""
        runner = self.runner(name)
        job = self.world.gitlab.add_job(self.world.project, ["true"], tag_list=["rpi"], only_runner_id=runner.id)
        eventually(lambda: job.status == "success")
        assert (job.runner_id, job.system_id) == (runner.id, self.system_id)


@contextmanager
def registered_pi(
    program: list[str], folder: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RegisteredPi]:
    """A Pi with a board of its own: GitLab Runner by itself would make its system id of the card's machine-id."""
    serial = folder / "serial-number"
    serial.write_text(f"{SERIAL}\0")
    monkeypatch.setattr(_system_id, "SERIALS", (str(serial),))
    etc = folder / "etc"
    etc.mkdir()
    pi = RegisteredPi(program, etc, world.url, world=world)
    try:
        yield pi
    finally:
        pi.stop()
