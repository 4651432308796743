# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated Pis: containers with systemd, SSH and room for an engine of their own."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .host import LABEL, LabError, cgroup_v1, docker, say
from .pi_image import pi_image

PASSWORD = "raspberry"  # noqa: S105 - of the simulated Pis, as customize.sh sets it
_DRESS = Path(__file__).with_name("dress.sh")


@dataclass(frozen=True)
class Pi:
    """One simulated Pi: how it is called, what it looks like, how it is reached."""

    name: str
    suite: str
    hostname: str
    raspbian: bool
    """Dressed as 32-bit Raspberry Pi OS: os-release says raspbian, dpkg says armhf."""
    asks_password: bool
    """sudo asks for the password, as on Raspberry Pi OS since April 2026."""
    address: str = ""


def wanted_pis(count: int) -> list[Pi]:
    """Return `count` Pis, bookworm and trixie in turn; the first asks for a password, the third is 32-bit Raspbian."""
    return [
        Pi(
            name=f"pi-{number:02}",
            suite="bookworm" if number % 2 else "trixie",
            # Two Pis whose owner kept the default host name: it must never serve as a key.
            hostname="raspberrypi" if number in (1, 2) else f"pi-{number:02}",
            raspbian=number == 3,
            asks_password=number == 1,
        )
        for number in range(1, count + 1)
    ]


def boot(lab: str, pi: Pi, public_key: str) -> Pi:
    """Start the Pi's container unless it runs, and return the Pi with its address."""
    container = f"pifleet-{lab}-{pi.name}"
    running = docker("inspect", "-f", "{{.State.Running}}", container, check=False)
    if running != "true":
        if running:
            docker("rm", "-f", "-v", container)
        say(f"booting {pi.name} ({pi.suite}{', 32-bit Raspbian' if pi.raspbian else ''})")
        docker(
            "run", "--detach", "--name", container, "--label", f"{LABEL}={lab}", "--network", f"pifleet-{lab}",
            "--hostname", pi.hostname, "--env", "container=docker", *_machine_options(),
            "--tmpfs", "/run", "--tmpfs", "/run/lock", "--volume", "/var/lib/docker", pi_image(pi.suite), "/sbin/init",
        )  # fmt: skip
        _dress(container, pi, public_key)
    network = f"pifleet-{lab}"
    address = docker("inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', container)
    return Pi(**{**pi.__dict__, "address": address})


def _machine_options() -> list[str]:
    # An engine inside needs systempaths and seccomp open; --privileged fails on a host that lacks a capability itself.
    options = ["--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"]
    if cgroup_v1():
        return [
            *options, "--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--cgroupns=host",
            "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw",
        ]  # fmt: skip
    return ["--privileged", "--cgroupns=private"]


def _dress(container: str, pi: Pi, public_key: str) -> None:
    answers = ("yes" if pi.asks_password else "no", "yes" if pi.raspbian else "no")
    docker("exec", "-i", container, "/bin/sh", "-s", "--", public_key, *answers, stdin=_DRESS.read_text())


def wait_for_ssh(pi: Pi, key: Path, known_hosts: Path) -> None:
    """Return when the Pi answers a command over SSH; a LabError after a minute."""
    command = [
        "ssh", "-i", str(key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new",
        "-o", "ConnectTimeout=3", "-o", f"UserKnownHostsFile={known_hosts}", f"pi@{pi.address}", "true",
    ]  # fmt: skip
    for _ in range(60):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(1)
    raise LabError(f"{pi.name} at {pi.address} does not answer over SSH: {done.stderr.strip()[-300:]}")
