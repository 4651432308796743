# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Raspberry Pi's firmware does before Linux runs: it reads cmdline.txt from the boot partition."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.host import LabError

_MEBIBYTES = 64
_ENVIRONMENT = {**os.environ, "MTOOLSRC": os.devnull, "LC_ALL": "C.UTF-8"}


def kernel_command_line(cmdline_txt: str) -> str:
    """Return the kernel's command line for this text of cmdline.txt, of which only the first line counts.

    The memory cgroup is off unless the text says `cgroup_enable=memory`. On a Pi the device tree turns it off, and a
    patch of the kernel knows that word (https://github.com/raspberrypi/linux/issues/6439). Debian's kernel does not.
    """
    words = cmdline_txt.split("\n", 1)[0].split()
    serial = [word.replace("console=serial0", "console=ttyAMA0") for word in words]
    firmware = [] if "cgroup_enable=memory" in words else ["cgroup_disable=memory"]
    return " ".join([*firmware, *serial])


def make_boot_partition(image: Path, files: Mapping[str, str]) -> None:
    """Write an image of a FAT file system with these files. Raises LabError."""
    image.unlink(missing_ok=True)
    _mtools("mformat", image, "-C", "-v", "bootfs", "-T", str(_MEBIBYTES * 2048), "::")
    for name, text in files.items():
        _mtools("mcopy", image, "-", f"::/{name}", text=text)


def read_boot_partition(image: Path, name: str) -> str:
    """Return a file of the image. Raises LabError."""
    return _mtools("mtype", image, f"::/{name}")


def _mtools(program: str, image: Path, *arguments: str, text: str = "") -> str:
    command = [program, "-i", str(image), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(command)}` failed with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
