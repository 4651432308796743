# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that the lab runs on: commands, the Docker engine, the directories of the lab."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "images"
STATE = ROOT / ".lab"
LABEL = "ci.pifleet.lab"
RECIPE_LABEL = "ci.pifleet.recipe"
"""The label with an image's recipe, a digest of what it was built from; untagged images of older builds keep it."""
MACHINE_PID = "machine.pid"
"""In a lab's folder, while an emulated machine (molecule/arm) is powered on."""
_ENGINE_PID = STATE / "dockerd.pid"


class LabError(Exception):
    """One sentence for the user: what is missing or failed, and what to do."""


def say(text: str) -> None:
    """Print a line of progress to stderr."""
    print(f"[lab] {text}", file=sys.stderr, flush=True)


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """Print rows of cells below a head, in columns."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def as_root(*command: str) -> list[str]:
    """Prefix the command with sudo unless this process is root."""
    return list(command) if os.geteuid() == 0 else ["sudo", *command]


def run(*command: str, stdin: str | None = None, check: bool = True) -> str:
    """Run a command as root and return its standard output, stripped. With `check` a failure raises LabError."""
    done = subprocess.run(as_root(*command), input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        output = (done.stderr or done.stdout).strip()
        raise LabError(f"`{' '.join(command[:6])} ...` failed with {done.returncode}: {output[-2000:]}")
    return done.stdout.strip()


def docker(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Run the docker CLI, as `run` does, against this machine's default engine."""
    return run("docker", *arguments, stdin=stdin, check=check)


def engine_answers() -> bool:
    """Tell whether a Docker engine answers at the default socket."""
    return bool(shutil.which("docker") and docker("info", "--format", "{{.ServerVersion}}", check=False))


def ensure_engine() -> None:
    """Start the Docker engine if none answers: the systemd service, else a dockerd that `stop_engine` stops."""
    if engine_answers():
        return
    if not shutil.which("dockerd") and not Path("/usr/sbin/dockerd").exists():
        raise LabError("No Docker engine answers and dockerd is not installed: run `make setup`, or install docker.io.")
    if Path("/run/systemd/system").is_dir():
        say("starting the Docker engine (systemctl start docker)")
        run("systemctl", "start", "docker")
    else:
        say("starting a Docker engine (dockerd)")
        STATE.mkdir(exist_ok=True)
        with (STATE / "dockerd.log").open("ab") as log:
            process = subprocess.Popen(
                as_root("dockerd", "--pidfile", str(_ENGINE_PID)), stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(60):
            if engine_answers():
                return
            if process.poll() is not None:
                break
            time.sleep(1)
    if not engine_answers():
        raise LabError("The Docker engine did not start; its log is .lab/dockerd.log or `journalctl -u docker`.")


def stop_engine() -> None:
    """Stop the dockerd that `ensure_engine` started; any other engine keeps running."""
    if not _ENGINE_PID.exists():
        return
    pid = _ENGINE_PID.read_text().strip()
    if run("ps", "-o", "comm=", "-p", pid, check=False) == "dockerd":
        say("stopping the Docker engine that the lab had started")
        run("kill", pid)
        for _ in range(30):
            if not run("ps", "-o", "comm=", "-p", pid, check=False):
                break
            time.sleep(1)
    run("rm", "-f", str(_ENGINE_PID))


def running_pid(file: Path, program: str) -> int:
    """Return the process id in the file if that process runs the program, else 0."""
    try:
        pid = int(file.read_text())
    except (FileNotFoundError, ValueError):
        return 0
    command = run("ps", "-o", "args=", "-p", str(pid), check=False)
    return pid if program in command else 0


def end(file: Path, program: str) -> None:
    """End the process whose id is in the file, if it runs the program, and remove the file."""
    pid = running_pid(file, program)
    if pid:
        os.kill(pid, signal.SIGTERM)
    file.unlink(missing_ok=True)


def own_address() -> str:
    """This machine's address in its network, by which it reaches itself as a guest of its does. Raises LabError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError as error:
            raise LabError(f"This machine has no IPv4 network, by which its guests could reach it: {error}") from error
        address: str = probe.getsockname()[0]
    return address


def cgroup_v1() -> bool:
    """Tell whether the engine uses cgroup v1."""
    return docker("info", "--format", "{{.CgroupVersion}}") == "1"
