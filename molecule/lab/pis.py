# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated Pis: containers with systemd, SSH and a volume for their own Docker engine."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .host import LABEL, LabError, cgroup_v1, docker, run, say
from .pi_image import flashed_image, pi_image

PASSWORD = "raspberry"  # noqa: S105 - of the simulated Pis, as customize.sh sets it
SSH_PORT = 22
FIRST_BOOT = Path(__file__).with_name("first_boot.sh")


@dataclass(frozen=True)
class Pi:
    """One simulated Pi; `name` is its inventory name, `address` is set once it runs."""

    name: str
    suite: str
    hostname: str
    raspbian: bool
    """Looks like 32-bit Raspberry Pi OS: ID=raspbian in os-release, armhf from dpkg --print-architecture."""
    sudo_requires_password: bool
    """sudo asks for the password, as on Raspberry Pi OS since April 2026."""
    address: str = ""
    port: int = SSH_PORT


def pi_specs(count: int) -> list[Pi]:
    """Return `count` Pis, bookworm and trixie in turn; the first asks for a password, the third is 32-bit Raspbian."""
    return [
        Pi(
            name=f"pi-{number:02}",
            suite="bookworm" if number % 2 else "trixie",
            # Two Pis with the default host name: host names are not unique in a fleet.
            hostname="raspberrypi" if number in (1, 2) else f"pi-{number:02}",
            raspbian=number == 3,
            sudo_requires_password=number == 1,
        )
        for number in range(1, count + 1)
    ]


def ssh_key(folder: Path) -> Path:
    """Return the private key of the lab in `folder`, made if missing."""
    key = folder / "id_ed25519"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"pifleet-{folder.name}", "-f", str(key))
    return key


def start_pi(lab: str, pi: Pi, public_key: str) -> Pi:
    """Start the Pi's container unless it runs, and return the Pi with its IP address."""
    container = f"pifleet-{lab}-{pi.name}"
    running = docker("inspect", "-f", "{{.State.Running}}", container, check=False)
    if running != "true":
        if running:
            docker("rm", "-f", "-v", container)
        say(f"booting {pi.name} ({pi.suite}{', 32-bit Raspbian' if pi.raspbian else ''})")
        _boot(lab, pi.name, pi.hostname, pi_image(pi.suite))
        _first_boot(container, pi, public_key)
    return Pi(**{**pi.__dict__, "address": _address(lab, pi.name)})


def boot_flashed_pi(lab: str, name: str, suite: str, boot: Path) -> str:
    """Boot a Pi for the first time, with the directory as its boot partition, and return its IP address."""
    say(f"booting {name} ({suite}) for the first time")
    _boot(lab, name, "raspberrypi", flashed_image(suite), "--volume", f"{boot}:/boot/firmware")
    return _address(lab, name)


def remove_pi(lab: str, name: str) -> None:
    """Remove the Pi's container and volumes, if there are any."""
    docker("rm", "-f", "-v", f"pifleet-{lab}-{name}", check=False)


def _boot(lab: str, name: str, hostname: str, image: str, *options: str) -> None:
    docker(
        "run", "--detach", "--name", f"pifleet-{lab}-{name}", "--label", f"{LABEL}={lab}",
        "--network", f"pifleet-{lab}", "--hostname", hostname, "--env", "container=docker", *_container_options(),
        "--tmpfs", "/run", "--tmpfs", "/run/lock", "--volume", "/var/lib/docker", *options, image, "/sbin/init",
    )  # fmt: skip


def _address(lab: str, name: str) -> str:
    template = f'{{{{(index .NetworkSettings.Networks "pifleet-{lab}").IPAddress}}}}'
    return docker("inspect", "-f", template, f"pifleet-{lab}-{name}")


def _container_options() -> list[str]:
    # A Docker engine in a container needs unmasked system paths and no seccomp filter. --privileged implies both, but
    # fails where the host itself lacks a capability.
    options = ["--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"]
    if cgroup_v1():
        return [
            *options, "--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--cgroupns=host",
            "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw",
        ]  # fmt: skip
    return ["--privileged", "--cgroupns=private"]


def _first_boot(container: str, pi: Pi, public_key: str) -> None:
    options = ("yes" if pi.sudo_requires_password else "no", "yes" if pi.raspbian else "no")
    docker("exec", "-i", container, "/bin/sh", "-s", "--", public_key, *options, stdin=FIRST_BOOT.read_text())


def wait_for_ssh(pi: Pi, key: Path, known_hosts: Path, attempts: int = 60) -> None:
    """Return when the Pi runs a command over SSH. Raises LabError after so many attempts, of one to four seconds."""
    command = [
        "ssh", "-i", str(key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new",
        "-o", "ConnectTimeout=3", "-o", f"UserKnownHostsFile={known_hosts}", "-p", str(pi.port), f"pi@{pi.address}",
        "true",
    ]  # fmt: skip
    for _ in range(attempts):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(1)
    raise LabError(f"{pi.name} at {pi.address} does not answer over SSH: {done.stderr.strip()[-300:]}")
