# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet under load: its plays, which may be killed, and what becomes of its machines."""

from __future__ import annotations

import itertools
import json
import shlex
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.__main__ import up
from lab.fleet import Lab, Play
from lab.host import LabError, docker
from registration_kill import MARK, kill_all

from load.packages import package_settings
from load.report import Ended, first_failure

INVENTORY = Path(__file__).with_name("inventory")
MODES = ("container", "service", "package")


@dataclass(frozen=True)
class Call:
    """An ansible-playbook command, as an operator would type it."""

    playbook: str = "pifleet.ci.site"
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.playbook, *self.arguments])


class Fleet:
    """A lab whose Pis are, or are to become, one fleet. What has been set stays set in later plays."""

    def __init__(self, lab: Lab, mode: str) -> None:
        self.lab, self.mode = lab, mode
        self.settings: dict[str, Any] = {}
        # Never the same in two runs on one lab, and increasing: it becomes a part of versions.
        self._numbers = itertools.count(int(time.time()) % 1_000_000)
        self._connections = lab.folder / "cp"
        # By Pi: a board has a serial number, which a new card does not change. In the lab the machine-id stands for it.
        self._boards: dict[str, str] = {}
        if mode == "package":
            self.set(package_settings(lab.folder, self.next_number()))

    @property
    def pis(self) -> list[str]:
        return sorted(self.lab.addresses)

    def next_number(self) -> int:
        """A number for the next change, by which it is recognised."""
        return next(self._numbers)

    def set(self, variables: Mapping[str, Any]) -> None:
        """Set variables of the inventory."""
        self.settings.update(variables)

    def play(self, call: Call, kill_after: float | None = None) -> Ended:
        """Run a play; with `kill_after`, SIGKILL to all its processes on this machine after so many seconds."""
        mark = uuid.uuid4().hex[:12]
        killed = threading.Event()

        def kill() -> None:
            killed.set()
            kill_all(mark)

        timer = threading.Timer(kill_after, kill) if kill_after is not None else None
        started = time.monotonic()
        if timer:
            timer.start()
        play = self._play(call, mark)
        if timer:
            timer.cancel()
        seconds = time.monotonic() - started
        return Ended(
            str(call), play.code, seconds, killed.is_set(), play.output, len(play.recap.keys() - {"localhost"})
        )

    def _play(self, call: Call, mark: str) -> Play:
        # The connections have a folder of their own, so that a Pi that is taken away can take its own with it.
        environment: dict[str, Any] = {MARK: mark, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._connections)}
        arguments = ["-e", json.dumps(self.settings), *call.arguments]
        return self.lab.play(*arguments, playbook=call.playbook, **environment)

    def must_play(self) -> None:
        """Run the play that makes the fleet; a LabError when it fails."""
        ended = self.play(Call())
        if ended.code != 0:
            raise LabError(f"{ended.call} failed on an undisturbed fleet: {first_failure(ended.output)}")

    def take_away(self, pi: str) -> None:
        """Pull the plug of a Pi, for good."""
        self._boards[pi] = self.lab.ssh(pi, "cat /etc/machine-id")
        docker("rm", "-f", "-v", f"pifleet-{self.lab.folder.name}-{pi}")
        address = self.lab.addresses[pi]
        for socket in [*self._connections.glob("*"), *self.lab.folder.glob("ssh-*")]:
            # Those of the other Pis end as well, when nobody uses them any more.
            subprocess.run(["ssh", "-O", "stop", "-o", f"ControlPath={socket}", "-"], capture_output=True, check=False)
        known_hosts = str(self.lab.folder / "known_hosts")
        subprocess.run(["ssh-keygen", "-q", "-R", address, "-f", known_hosts], capture_output=True, check=True)

    def boot_bare(self) -> None:
        """Boot a freshly flashed Pi in the place of each that was taken away."""
        up(self.lab.folder.name, len(self.pis))
        for pi, board in self._boards.items():
            self.lab.ssh(pi, f"echo {board} >/etc/machine-id")
        self._boards.clear()

    def failing(self, command: str, pis: Sequence[str] = ()) -> list[str]:
        """Return the Pis, of all unless some are named, on which the shell command does not succeed in a minute."""
        guarded = f"timeout 60 sh -c {shlex.quote(command)} >/dev/null 2>&1; echo $?"
        return [pi for pi in pis or self.pis if self.lab.ssh(pi, guarded) != "0"]
