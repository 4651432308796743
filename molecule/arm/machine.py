# SPDX-License-Identifier: GPL-3.0-or-later
"""An emulated machine that starts bare: power, and a reboot that reads cmdline.txt again."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.host import MACHINE_PID, LabError, say

from .disk import Disk
from .firmware import kernel_command_line, make_boot_partition, read_boot_partition

PROGRAM = "qemu-system-aarch64"


@dataclass
class Machine:
    """A machine whose state is in `folder`; it changes nothing of `disk`."""

    folder: Path
    disk: Disk
    command_lines: list[str] = field(default_factory=list)
    """The kernel's command line at each power-on."""
    ssh_port: int = 0
    """Of 127.0.0.1, once it is prepared."""

    def __post_init__(self) -> None:
        self._off = threading.Event()
        self._power: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def console(self) -> Path:
        """What the kernel and systemd have said since the first power-on."""
        return self.folder / "console.log"

    def prepare(self, files: Mapping[str, str]) -> None:
        """Give it an unused disk, and a boot partition with these files beside cmdline.txt. Raises LabError."""
        make_boot_partition(self._boot_partition, {"cmdline.txt": self.disk.cmdline_txt, **files})
        self._overlay.unlink(missing_ok=True)
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(self.disk.root)]
        done = subprocess.run([*command, str(self._overlay)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"qemu-img failed with {done.returncode}: {done.stderr.strip()}")
        self.console.unlink(missing_ok=True)
        self.ssh_port = _unused_port()

    def power_on(self) -> None:
        """Run it until power_off(), starting it again whenever it reboots or powers itself off."""
        self._power = threading.Thread(target=self._run, daemon=True)
        self._power.start()

    def power_off(self) -> None:
        """Cut the power."""
        self._off.set()
        if self._process:
            self._process.terminate()
        if self._power:
            self._power.join()

    def _run(self) -> None:
        while not self._off.is_set():
            command_line = kernel_command_line(read_boot_partition(self._boot_partition, "cmdline.txt"))
            self.command_lines.append(command_line)
            say(f"power on, kernel command line: {command_line}")
            with (self.folder / "qemu.log").open("ab") as log:
                self._process = subprocess.Popen(
                    qemu(self.disk, self._overlay, self._boot_partition, self.console, self.ssh_port, command_line),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            (self.folder / MACHINE_PID).write_text(str(self._process.pid))
            if self._off.is_set():
                self._process.terminate()
            if self._process.wait() != 0 and not self._off.is_set():
                say(f"{PROGRAM} ended with {self._process.returncode}; its log is {self.folder / 'qemu.log'}")
                return
            (self.folder / MACHINE_PID).unlink()

    @property
    def _overlay(self) -> Path:
        return self.folder / "root.qcow2"

    @property
    def _boot_partition(self) -> Path:
        return self.folder / "boot.img"


def qemu(disk: Disk, overlay: Path, boot: Path, console: Path, ssh_port: int, command_line: str) -> list[str]:
    """Return the command that runs the machine until it reboots or powers off."""
    return [
        PROGRAM, "-machine", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "2048", "-no-reboot",
        "-nodefaults", "-display", "none",
        "-chardev", f"file,id=console,path={console},append=on", "-serial", "chardev:console",
        "-kernel", str(disk.kernel), "-initrd", str(disk.initramfs), "-append", command_line,
        "-drive", f"if=virtio,format=qcow2,cache=unsafe,file={overlay}",
        "-drive", f"if=virtio,format=raw,cache=unsafe,file={boot}",
        # Without romfile QEMU looks for that of a package which is needed to boot from the network only.
        "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{ssh_port}-:22", "-device", "virtio-net-pci,netdev=net,romfile=",
        "-device", "virtio-rng-pci",
    ]  # fmt: skip


def _unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
