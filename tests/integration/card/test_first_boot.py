# SPDX-License-Identifier: GPL-3.0-or-later
"""From the card to the first job: Debian's cloud-init sets up a Pi at its first boot with what prepare_card wrote."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from card_image import TRIXIE
from drawing import takes
from integration.scenarios import only_in
from lab.fleet import Lab, Play, eventually
from lab.host import docker
from lab.pis import boot_flashed_pi, remove_pi
from sizes import one_of

pytestmark = only_in("default")

NAME, USER, PASSWORD = "pi-09", "ci", "a password for sudo"
SUITES = one_of(["bookworm", "trixie"], "suites of cards")


@dataclass
class FlashedPi:
    """boot: its boot partition. known_hosts: with the SSH host keys that it had at first."""

    lab: Lab
    inventory: Path
    boot: Path
    known_hosts: Path
    address: str = ""

    @property
    def container(self) -> str:
        return f"pifleet-{self.lab.folder.name}-{NAME}"

    def ssh(self, command: str, user: str = USER, stdin: str = "") -> subprocess.CompletedProcess[str]:
        options = [
            "-i", str(self.lab.folder / "id_ed25519"), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new",
            "-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "ConnectTimeout=3",
        ]  # fmt: skip
        command_line = ["ssh", *options, f"{user}@{self.address}", command]
        return subprocess.run(command_line, input=stdin, capture_output=True, text=True, check=False)

    def root(self, command: str) -> str:
        return docker("exec", self.container, "/bin/sh", "-c", command)

    def wait(self) -> None:
        eventually(lambda: self.ssh("true").returncode == 0, timeout=120)
        self.root("cloud-init status --wait >/dev/null || cloud-init status --long")


@pytest.fixture(scope="module", params=SUITES)
def flashed(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlashedPi]:
    """A Pi that has come up with the card."""
    folder = tmp_path_factory.mktemp(f"card-{request.param}")
    boot = folder / "bootfs"
    boot.mkdir()
    for name, text in TRIXIE.items():
        (boot / name).write_text(text)
    pi = FlashedPi(lab, folder / "pis.yml", boot, folder / "known_hosts")
    variables = {
        "ansible_user": USER,
        "ansible_become_password": PASSWORD,
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={pi.known_hosts}",
        "card_target": str(boot),
        "card_authorized_keys": [(lab.folder / "id_ed25519.pub").read_text()],
        "card_timezone": "Europe/Berlin",
        "card_locale": "en_GB.UTF-8",
    }

    def write_inventory() -> None:
        pi.inventory.write_text(json.dumps({"pis": {"hosts": {NAME: {**variables, "ansible_host": pi.address}}}}))

    write_inventory()
    play = prepare(pi)
    assert play.recap[NAME]["changed"] == 1, play.output
    pi.address = boot_flashed_pi(lab.folder.name, NAME, request.param, boot)
    write_inventory()
    try:
        pi.wait()
        yield pi
    finally:
        remove_pi(lab.folder.name, NAME)


def prepare(pi: FlashedPi) -> Play:
    lab = Lab(pi.lab.folder.name, [pi.inventory])
    return lab.play("--limit", NAME, playbook="pifleet.ci.prepare_card")


@takes(50, "card")
def test_the_pi_is_what_the_inventory_says(flashed: FlashedPi) -> None:
    assert flashed.ssh("hostname").stdout == f"{NAME}\n"
    assert flashed.root("readlink /etc/localtime") == "/usr/share/zoneinfo/Europe/Berlin"
    assert "LANG=en_GB.UTF-8" in flashed.root("cat /etc/default/locale").replace('"', "")
    assert f"127.0.1.1\t{NAME}" in flashed.root("cat /etc/hosts")
    assert "sudo" in flashed.ssh("id -nG").stdout.split()


@takes(50, "card")
def test_sudo_asks_for_the_password_and_ssh_takes_none(flashed: FlashedPi) -> None:
    assert flashed.ssh("sudo -n true").returncode
    assert flashed.ssh("sudo -S -p '' id -un", stdin=f"{PASSWORD}\n").stdout == "root\n"
    assert "passwordauthentication no" in flashed.root("sshd -T")
    assert flashed.ssh("true", user="pi").returncode


@takes(50, "card")
def test_cloud_init_had_nothing_to_complain_of(flashed: FlashedPi) -> None:
    assert "status: done" in flashed.root("cloud-init status --long")
    assert flashed.root("grep WARNING /var/log/cloud-init.log || true") == ""


@takes(50, "card")
def test_the_hash_has_left_the_boot_partition(flashed: FlashedPi) -> None:
    assert "$6$" not in (flashed.boot / "user-data").read_text()
    assert "hostname: pi-09" in (flashed.boot / "user-data").read_text()


@takes(50, "card")
def test_a_second_boot_changes_nothing(flashed: FlashedPi) -> None:
    # not /etc/hostname and /etc/hosts, which Docker writes anew at each start
    state = "cat /etc/shadow /home/*/.ssh/authorized_keys /etc/ssh/*.pub"
    before = flashed.root(state)
    docker("restart", flashed.container)
    flashed.wait()
    assert flashed.root(state) == before


@takes(170)
def test_it_runs_a_job(flashed: FlashedPi) -> None:
    """As last one: the playbook makes it a Pi of the fleet, which leaves it again."""
    lab = Lab(flashed.lab.folder.name, [flashed.inventory])
    play = lab.play("--limit", NAME)
    assert play.code == 0, play.output
    try:
        job = lab.gitlab.run_job(script=["true"], tag_list=["docker", NAME], timeout=120)
        assert job["status"] == "success", job["trace"]
        again = lab.play("--limit", NAME)
        assert again.recap[NAME]["changed"] == 0, again.output
    finally:
        lab.play("-e", f"pifleet_hosts={NAME}", playbook="pifleet.ci.remove")
