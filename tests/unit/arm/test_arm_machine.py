# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of `make arm` that need no emulation."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from arm.__main__ import parse, require_programs
from arm.disk import Disk, modules_in_order
from arm.firmware import kernel_command_line, make_boot_partition, read_boot_partition
from arm.machine import Machine, qemu
from arm.registry import registry
from images.assembled import Image, image_config, parse_dockerfile
from images.build import docker_in_docker_recipe, job_recipe, runner_recipe, standin_files
from lab.fleet import eventually
from lab.host import MACHINE_PID, LabError

FLASHED = "console=serial0,115200 console=tty1 root=PARTUUID=6a2b7c11-02 rootfstype=ext4 rootwait"


@pytest.mark.parametrize(
    ("text", "off"),
    [
        (FLASHED, True),
        (f"{FLASHED} cgroup_enable=memory cgroup_memory=1", False),
        (f"{FLASHED} cgroup_memory=1", True),
        (f"{FLASHED} cgroup_enable=memoryless", True),
        (f"{FLASHED}\ncgroup_enable=memory", True),
    ],
)
def test_the_memory_cgroup_is_off_unless_the_first_line_of_cmdline_txt_enables_it(text: str, off: bool) -> None:
    words = kernel_command_line(text).split()
    assert ("cgroup_disable=memory" in words) is off


def test_the_kernel_gets_the_words_of_cmdline_txt_in_their_order() -> None:
    line = kernel_command_line(f"{FLASHED} cgroup_enable=memory\n")
    assert line == f"{FLASHED.replace('serial0', 'ttyAMA0')} cgroup_enable=memory"


def test_a_boot_partition_returns_what_was_written(tmp_path: Path) -> None:
    image = tmp_path / "boot.img"
    make_boot_partition(image, {"cmdline.txt": f"{FLASHED}\n", "key.pub": "ssh-ed25519 AAAA"})
    assert read_boot_partition(image, "cmdline.txt") == f"{FLASHED}\n"
    with pytest.raises(LabError, match="mtype"):
        read_boot_partition(image, "config.txt")


def test_modules_are_loaded_once_and_in_the_order_of_their_dependencies() -> None:
    shown = (
        "insmod /m/virtio.ko\ninsmod /m/virtio_pci.ko x=1\nbuiltin crc16\ninsmod /m/virtio.ko\ninsmod /m/ext4.ko.xz\n"
    )
    assert modules_in_order(shown) == ["/m/virtio.ko", "/m/virtio_pci.ko", "/m/ext4.ko.xz"]


def test_a_reboot_ends_the_emulator_and_ssh_is_forwarded(tmp_path: Path) -> None:
    command = qemu(Disk(tmp_path), tmp_path / "o", tmp_path / "b", tmp_path / "c", 2222, "quiet x=y")
    assert "-no-reboot" in command
    assert command[command.index("-append") + 1] == "quiet x=y"
    assert any("hostfwd=tcp:127.0.0.1:2222-:22" in word for word in command)


def test_a_machine_that_reboots_gets_what_cmdline_txt_says_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = tmp_path / "boot.img"
    make_boot_partition(boot, {"cmdline.txt": FLASHED})
    machine = Machine(tmp_path, Disk(tmp_path))

    def guest(*_options: object) -> list[str]:
        if len(machine.command_lines) > 1:
            return ["sleep", "60"]
        make_boot_partition(boot, {"cmdline.txt": f"{FLASHED} cgroup_enable=memory"})
        return ["true"]

    monkeypatch.setattr("arm.machine.qemu", guest)
    machine.power_on()
    eventually(lambda: len(machine.command_lines) == 2 and (tmp_path / MACHINE_PID).exists(), timeout=20)
    assert ["cgroup_disable=memory" in line for line in machine.command_lines] == [True, False]
    pid = int((tmp_path / MACHINE_PID).read_text())
    machine.power_off()
    assert not Path(f"/proc/{pid}").exists()
    assert not (tmp_path / MACHINE_PID).exists()


def test_the_images_are_configured_by_the_dockerfiles_of_the_lab() -> None:
    dockerfile = runner_recipe("standin", standin_files()).dockerfile.read_text()
    config = image_config(parse_dockerfile(dockerfile))
    assert config["Entrypoint"] == ["/usr/bin/dumb-init", "/entrypoint"]
    assert config["StopSignal"] == "SIGQUIT"
    assert set(config["Volumes"]) == {"/etc/gitlab-runner", "/home/gitlab-runner"}
    runs = [json.loads(rest) for name, rest in parse_dockerfile(dockerfile) if name == "RUN"]
    assert [command[:3] for command in runs] == [["/usr/bin/busybox", "sh", "-c"]]
    assert image_config(parse_dockerfile(job_recipe().dockerfile.read_text()))["Cmd"] == ["sh"]


def test_an_image_has_all_variables_and_ports_of_a_line() -> None:
    config = image_config(parse_dockerfile(docker_in_docker_recipe().dockerfile.read_text()))
    assert config["Env"][-2:] == ["PATH=/usr/sbin:/usr/bin", "DOCKER_TLS_CERTDIR=/certs"]
    assert config["ExposedPorts"] == {"2375/tcp": {}, "2376/tcp": {}}


def test_an_instruction_that_is_not_implemented_is_refused() -> None:
    with pytest.raises(ValueError, match="HEALTHCHECK"):
        image_config(parse_dockerfile("FROM x\nHEALTHCHECK NONE\n"))


def test_the_registry_serves_manifests_by_tag_and_digest_and_blobs() -> None:
    blob = b"layer"
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    with registry("127.0.0.1", {"job:lab": Image(b"{}", {digest: blob})}) as name:
        by_tag = urllib.request.urlopen(f"http://{name}/v2/job/manifests/lab", timeout=5)
        assert by_tag.headers["Content-Type"] == "application/vnd.docker.distribution.manifest.v2+json"
        same = by_tag.headers["Docker-Content-Digest"]
        assert urllib.request.urlopen(f"http://{name}/v2/job/manifests/{same}", timeout=5).read() == b"{}"
        assert urllib.request.urlopen(f"http://{name}/v2/job/blobs/{digest}", timeout=5).read() == blob
        with pytest.raises(HTTPError, match="404"):
            urllib.request.urlopen(f"http://{name}/v2/job/manifests/other", timeout=5)


def test_the_registry_takes_images_of_those_who_have_its_login() -> None:
    login = f"Basic {base64.b64encode(b'ci:secret').decode()}"

    def ask(method: str, place: str, content: bytes | None = None, authorization: str = login) -> Any:
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        return urllib.request.urlopen(
            urllib.request.Request(f"http://{name}{place}", content, headers, method=method), timeout=5
        )

    with registry("127.0.0.1", {}, login="ci:secret") as name:
        with pytest.raises(HTTPError, match="401"):
            ask("GET", "/v2/", authorization="Basic other")
        with pytest.raises(HTTPError, match="401"):
            ask("PUT", "/v2/job/manifests/new", b"{}", authorization="Basic other")
        first, second = (ask("POST", "/v2/job/blobs/uploads/").headers["Location"] for _number in range(2))
        assert first != second
        ask("PATCH", first, b"la")
        ask("PATCH", first, b"yer")
        digest = f"sha256:{hashlib.sha256(b'layer').hexdigest()}"
        assert ask("PUT", f"{first}?digest={digest}", b"").status == 201
        assert ask("GET", f"/v2/job/blobs/{digest}").read() == b"layer"
        same = ask("PUT", "/v2/job/manifests/new", b"{}").headers["Docker-Content-Digest"]
        assert [ask("GET", f"/v2/job/manifests/{word}").read() for word in ("new", same)] == [b"{}", b"{}"]
    with registry("127.0.0.1", {}) as name, pytest.raises(HTTPError, match="401"):
        ask("POST", "/v2/job/blobs/uploads/")


def test_all_machines_unless_told_otherwise() -> None:
    assert tuple(parse([]).releases) == ("bookworm", "trixie")
    assert tuple(parse([]).deployments) == ("container", "package")
    assert parse(["--releases", "trixie", "--deployments", "package"]).releases == ["trixie"]
    with pytest.raises(SystemExit):
        parse(["--releases", "jessie"])


def test_a_missing_program_is_named() -> None:
    with pytest.raises(LabError, match="qemu-img"):
        require_programs(lambda name: None if name == "qemu-img" else f"/usr/bin/{name}")
