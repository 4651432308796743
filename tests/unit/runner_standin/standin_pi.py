# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab Runner as a process on a Pi: a directory with config.toml, and the program that runs with it."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    """Return once the condition holds; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


@dataclasses.dataclass
class Pi:
    """A directory with config.toml, and the program that runs with it."""

    program: list[str]
    folder: Path
    url: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def entry(self, token: str, extra: str = "", executor: str = "shell") -> str:
        head = f'[[runners]]\nname = "pi"\nurl = "{self.url}"\nid = 1\ntoken = "{token}"\n'
        return f'{head}executor = "{executor}"\nbuilds_dir = "{self.folder}/builds"\n{extra}'

    def write(self, *entries: str, settings: str = "concurrent = 2\n") -> None:
        """Replace config.toml as the collection does: atomically, by a rename."""
        part = self.folder / "part"
        part.write_text(f"{settings}check_interval = 1\n{''.join(entries)}")
        part.chmod(0o600)
        part.rename(self.config)

    def version(self) -> str:
        """The output of `--version`."""
        command = [*self.program, "--version"]
        return subprocess.run(command, capture_output=True, text=True, env=_ENVIRONMENT, check=True, timeout=20).stdout

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the program other than `run`, until it ends."""
        command = [*self.program, name, "--config", str(self.config), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=_ENVIRONMENT, check=False, timeout=20)

    def start(self) -> None:
        # As the unit of GitLab's package starts it, but for the user.
        options = ["--config", self.config, "--working-directory", self.folder, "--service", "gitlab-runner"]
        command = [*self.program, "run", *map(str, options)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=_ENVIRONMENT, start_new_session=True)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, seconds: float = 10) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> None:
        """Terminate the process, with SIGKILL after 5 s, and print its log."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.process is not None:
            print(self.log)
