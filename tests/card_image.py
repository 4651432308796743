# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of cards as they come: a partition table, a boot partition with FAT, and the files of a system in it."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

MEBIBYTE = 1024 * 1024
OFFSET, BOOT_SIZE = 4 * MEBIBYTE, 48 * MEBIBYTE  # Raspberry Pi's begin there, too
FAT32_LBA, LINUX = 0x0C, 0x83
_ENVIRONMENT = {**os.environ, "MTOOLSRC": os.devnull, "LC_ALL": "C.UTF-8"}

# What pi-gen and Ubuntu put there, shortened: https://github.com/RPi-Distro/pi-gen/tree/master/stage2/04-cloud-init/files
BOOKWORM = {
    "config.txt": "# For more options see http://rptl.io/configtxt\ndtparam=audio=on\n",
    "issue.txt": "Raspberry Pi reference 2025-05-13\nGenerated using pi-gen, stage2\n",
    "cmdline.txt": "console=serial0,115200 console=tty1 root=PARTUUID=4c4e106f-02 rootfstype=ext4 fsck.repair=yes "
    "rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n",
}
TRIXIE = {
    "config.txt": BOOKWORM["config.txt"],
    "issue.txt": "Raspberry Pi reference 2026-04-13\nGenerated using pi-gen, stage2\n",
    "cmdline.txt": "console=serial0,115200 console=tty1 root=PARTUUID=9ab1c3d4-02 rootfstype=ext4 fsck.repair=yes "
    "rootwait resize\n",
    "user-data": "#cloud-config\n\n# Comments only.\n#hostname: raspberrypi\n",
    "meta-data": "# Comments.\ndsmode: local\ninstance_id: rpios-image\n",
    "network-config": "# Comments only.\n#network:\n#  version: 2\n",
}
UBUNTU = {
    "config.txt": "[all]\nkernel=vmlinuz\n",
    "cmdline.txt": "zswap.enabled=1 dwc_otg.lpm_enable=0 console=tty1 root=LABEL=writable rootfstype=ext4 rootwait\n",
    "user-data": "#cloud-config\nchpasswd:\n  expire: true\n  users:\n"
    "  - name: ubuntu\n    password: ubuntu\n    type: text\nssh_pwauth: true\n",
    "meta-data": "dsmode: local\ninstance_id: cloud-image\n",
    "network-config": "network:\n  version: 2\n\n  ethernets:\n    eth0:\n      dhcp4: true\n      optional: true\n",
}


def entry(kind: int, first: int, count: int) -> bytes:
    """Of a partition table; first, count: in sectors."""
    return struct.pack("<B3xB3xII", 0, kind, first, count)


def table(*entries: bytes) -> bytes:
    return bytes(446) + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def make_image(path: Path, files: Mapping[str, str]) -> Path:
    """A boot partition with these files, and a second partition of 1 MiB with a pattern in it."""
    rest = (OFFSET + BOOT_SIZE) // 512
    with open(path, "wb") as image:
        image.write(table(entry(FAT32_LBA, OFFSET // 512, BOOT_SIZE // 512), entry(LINUX, rest, 2048)))
        image.seek(rest * 512)
        image.write(b"root" * (MEBIBYTE // 4))
    mtools("mformat", path, "-v", "bootfs", "-T", str(BOOT_SIZE // 512), "-h", "64", "-s", "32", "::")
    for name, text in files.items():
        mtools("mcopy", path, "-", f"::/{name}", text=text)
    return path


def read_image(path: Path) -> dict[str, str]:
    """All files of the boot partition."""
    names = [line.removeprefix("::/") for line in mtools("mdir", path, "-b", "::/").splitlines()]
    return {name: mtools("mtype", path, f"::/{name}") for name in names}


def mtools(program: str, path: Path, *arguments: str, text: str = "") -> str:
    command = [program, "-i", f"{path}@@{OFFSET}", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, env=_ENVIRONMENT).stdout
