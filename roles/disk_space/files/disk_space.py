# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the disk of this host from filling: removes what Docker Engine has unused, and drains GitLab Runner.

Usage: disk_space.py SETTINGS [--release]

Runs on the host itself, from a systemd timer: standard library only, Python 3.9 and later. SETTINGS is the JSON file
that the role disk_space writes. What is printed is for the journal: nothing where nothing was done.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import _atomic_file as atomic_file
import disk_space_plan as plan
import disk_space_runner as runner
from _docker_api import Conflict, Engine, EngineError

REPLY_TIMEOUT = 600.0  # seconds: an SD card takes minutes to delete an image
RELEASE_INTERVAL = 2.0  # seconds
CONTAINERD = "/var/lib/containerd"
STATE_SIZE = 2048  # bytes, less than a block of the usual file systems
LONGEST_MESSAGE = 300  # characters


class StateError(Exception):
    """A file of the program does not hold what it wrote; one sentence says what to do."""


@dataclass
class State:
    """Whether GitLab Runner is drained, in a file that is there and as long as ever needed before the disk is full.

    It is overwritten in place, in one write of less than a block: a full disk has no room for a second file.
    """

    path: str
    drained: bool = False
    message: str = ""
    memory: runner.Memory = field(default_factory=dict)

    @classmethod
    def read(cls, path: str) -> State:
        """Makes the file if there is none. Raises StateError and FileError."""
        state = cls(path)
        if not os.path.exists(path):
            atomic_file.replace(path, state.record(), mode=0o644)
        found = _json(path, drained=bool, message=str, memory=dict)
        state.drained, state.message, state.memory = found["drained"], found["message"], found["memory"]
        return state

    def record(self) -> bytes:
        """The content of the file."""
        shown = {"drained": self.drained, "message": self.message[:LONGEST_MESSAGE], "memory": self.memory}
        return json.dumps(shown, ensure_ascii=False).encode().ljust(STATE_SIZE - 1) + b"\n"

    def write(self) -> None:
        """Returns when it is on the disk."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.pread(descriptor, STATE_SIZE, 0) != self.record():
                os.pwrite(descriptor, self.record(), 0)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remember(self, memory: runner.Memory) -> None:
        """Keep what has to be known to start GitLab Runner again."""
        self.memory = memory
        self.write()


@dataclass
class History:
    """When what was last in use, as far as the program has seen it. Docker Engine does not know."""

    path: str
    usage: plan.Usage = field(default_factory=dict)
    checked_at: int = 0
    cleaned_at: int = 0

    @classmethod
    def read(cls, path: str) -> History:
        """Raises StateError and FileError."""
        if not os.path.exists(path):
            return cls(path)
        found = _json(path, usage=dict, checked_at=int, cleaned_at=int)
        return cls(path, found["usage"], found["checked_at"], found["cleaned_at"])

    def write(self) -> None:
        """Raises FileError, which costs nothing but the knowledge of this run."""
        shown = {"usage": self.usage, "checked_at": self.checked_at, "cleaned_at": self.cleaned_at}
        atomic_file.replace(self.path, (json.dumps(shown) + "\n").encode(), mode=0o644)


def _json(path: str, **types: type) -> dict[str, Any]:
    """The object in the file, which has these keys with values of these types. Raises StateError and FileError."""
    try:
        found = json.loads(atomic_file.read(path).content or b"")
    except ValueError as error:
        raise StateError(f"{path} is not what was written there: remove it.") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(key), kind) for key, kind in types.items()):
        raise StateError(f"{path} is not what was written there: remove it.")
    return found


def spaces(engine: Engine, settings: plan.Settings) -> list[plan.Space]:
    """The file systems on which the engine keeps images, volumes and containers, and those of the settings.

    Since Docker 29 the images of a new engine are with containerd, whatever data-root is. Raises SettingsError.
    """
    own = [engine.get("/info")["DockerRootDir"], *([CONTAINERD] if os.path.isdir(CONTAINERD) else [])]
    found: dict[int, plan.Space] = {}
    for path in (*own, *settings.paths):
        try:
            space = os.statvfs(path)
            device = os.stat(path).st_dev
        except FileNotFoundError as error:
            raise plan.SettingsError(f"There is no {path}: correct disk_space_paths.") from error
        free, size = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
        found.setdefault(device, plan.Space(path, free, size, path in own))
    return list(found.values())


def clean(
    engine: Engine, settings: plan.Settings, objects: plan.Objects, usage: plan.Usage, now: float, low: bool
) -> None:
    """Remove what may go, while space is low only until it is not, and print what that was."""
    before = spaces(engine, settings)
    removed: Counter[str] = Counter()
    problems = []
    if low or settings.unused_days:
        age = plan.RECENT if low else settings.unused_days * plan.DAY
        pruned = engine.post("/build/prune", all=True, filters={"until": [f"{age}s"]}) or {}
        removed["build cache"] = len(pruned.get("CachesDeleted") or [])
    for removal in plan.removals(objects, settings, usage, now, low):
        if low and not plan.is_low(spaces(engine, settings), settings):
            break
        try:
            removed[removal.kind] += remove(engine, removal)
        except EngineError as error:  # a broken object must not keep the others
            problems.append(str(error))
    after = spaces(engine, settings)
    if sum(removed.values()):
        print(report(removed, before, after))
    if problems:
        print(f"Not removed, because the engine fails to ({len(problems)}): {problems[0]}")


def remove(engine: Engine, removal: plan.Removal) -> bool:
    """Whether it was removed; False if it has come into use, which the engine never removes without force."""
    try:
        for name in removal.names:
            options = {"v": True} if removal.kind == "container" else {}
            engine.delete(f"/{removal.kind}s/{{}}", name, **options)
    except Conflict:
        return False
    return True


def report(removed: Counter[str], before: Sequence[plan.Space], after: Sequence[plan.Space]) -> str:
    """The line for the journal, such as ``Removed 2 images and build cache (1.5 GB): 3.1 GB of ...``."""
    parts = [
        kind if kind == "build cache" else f"{count} {kind}{'s' if count > 1 else ''}"
        for kind, count in sorted(removed.items())
        if count
    ]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    freed = max(sum(space.free for space in after) - sum(space.free for space in before), 0)
    return f"Removed {listed} ({freed / 10**9:.1f} GB): {', '.join(map(str, after))}."


def regulate(settings: plan.Settings, state: State, way: runner.Way, disks: list[plan.Space]) -> None:
    """Drain GitLab Runner, or let it go on, and print a line when that changes."""
    if plan.takes_jobs(disks, settings, state.drained):
        if not way.start(state.memory):
            state.message = "There is room again: GitLab Runner starts as soon as its running jobs have ended."
            state.write()
            return
        if state.drained:
            print(f"{', '.join(map(str, disks))}: GitLab Runner takes jobs again.")
        state.drained, state.message = False, ""
        state.remember({})
        return
    limit = settings.cleanup_below if state.drained else settings.minimum_free
    short = ", ".join(map(str, plan.below(disks, limit)))
    message = f"{short}: GitLab Runner takes no new jobs until {settings.cleanup_below} are free."
    if not state.drained:
        print(f"{message} Running jobs go on.")
    state.drained, state.message = True, message
    state.write()
    way.stop(state.memory, state.remember)


def run(settings: plan.Settings, directory: str) -> None:
    """One check of the disk space, and what follows from it."""
    engine = Engine(timeout=REPLY_TIMEOUT)
    now = time.time()
    state = State.read(os.path.join(directory, "state.json"))
    history = History.read(os.path.join(directory, "usage.json"))
    disks = spaces(engine, settings)
    plan.check(disks, settings)
    objects = plan.Objects(
        engine.get("/containers/json", all=True), engine.get("/images/json"), engine.get("/volumes")["Volumes"] or []
    )
    # all it knows where the clock has been set back: it refuses to tell what was from a later time to an earlier one
    since = history.checked_at if history.checked_at <= now else 0
    events = engine.events(since, int(now), type=["container", "volume"])
    before = history.usage
    history.usage = plan.known(plan.seen(before, plan.in_use(objects.containers, events), now), objects, now)
    low = plan.is_low(disks, settings)
    due = not 0 <= now - history.cleaned_at < plan.DAY  # also after the clock has been set back
    if low or due:
        clean(engine, settings, objects, history.usage, now, low)
    regulate(settings, state, runner.way(settings.deployment, engine), spaces(engine, settings))
    if due or history.usage != before:
        history.checked_at, history.cleaned_at = int(now), int(now) if due else history.cleaned_at
        history.write()


def release(settings: plan.Settings, directory: str) -> None:
    """Start what was drained, whatever space there is, for the program is about to be removed. Waits for its jobs."""
    state = State.read(os.path.join(directory, "state.json"))
    way = runner.way(settings.deployment, Engine())
    while not way.start(state.memory):
        time.sleep(RELEASE_INTERVAL)
    state.drained, state.message = False, ""
    state.remember({})


def settings_of(found: dict[str, Any]) -> tuple[plan.Settings, str]:
    """The settings, and the directory for what has to be known later."""
    settings = plan.Settings(
        cleanup_below=found["cleanup_below"],
        minimum_free=found["minimum_free"],
        unused_days=found["unused_days"],
        keep=tuple(found["keep"]),
        images=tuple(found["images"]),
        deployment=found["deployment"],
        paths=tuple(found["paths"]),
    )
    return settings, found["state_directory"]


@contextmanager
def alone(directory: str) -> Iterator[None]:
    """Wait until no other process of the program is at work."""
    descriptor = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def main(arguments: Sequence[str]) -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description="Keeps the disk of this host from filling.")
    parser.add_argument("settings", help="JSON file that the role disk_space writes")
    parser.add_argument("--release", action="store_true", help="start GitLab Runner again if it is drained, and end")
    options = parser.parse_args(arguments)
    try:
        settings, directory = settings_of(_json(options.settings))
        os.makedirs(directory, mode=0o755, exist_ok=True)
        with alone(directory):
            (release if options.release else run)(settings, directory)
    except (EngineError, runner.RunnerError, plan.SettingsError, StateError, atomic_file.FileError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
