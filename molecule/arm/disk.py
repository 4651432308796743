# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine starts from, built once per release and kept: a disk, a kernel, an initramfs, a boot partition."""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.bootstrap import bootstrap
from lab.host import ROOT, LabError, as_root, run, say
from lab.pi_image import CUSTOMIZE, PACKAGES

CACHE = ROOT / ".cache" / "arm"
_CUSTOMIZE = Path(__file__).with_name("customize.sh")
_INIT = Path(__file__).with_name("init")
_PACKAGES = f"{PACKAGES},udev,systemd-timesyncd,busybox-static"
_DISK_SIZE = "8G"
_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")


@dataclass(frozen=True)
class Disk:
    """Files that a machine boots from and does not change, in one folder."""

    folder: Path

    @property
    def root(self) -> Path:
        """The ext4 file system."""
        return self.folder / "root.ext4"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        return self.folder / "initramfs"

    @property
    def cmdline_txt(self) -> str:
        """cmdline.txt as it is on a freshly flashed card."""
        return (self.folder / "cmdline.txt").read_text()


def disk(release: str) -> Disk:
    """Return the disk of a Pi with that Debian release, built if missing. Raises LabError."""
    inputs = [path.read_bytes() for path in (CUSTOMIZE, _CUSTOMIZE, _INIT)]
    recipe = hashlib.sha256(b"".join(inputs) + f"{_PACKAGES} {_DISK_SIZE} {_MODULES}".encode()).hexdigest()[:12]
    folder = CACHE / f"{release}-{recipe}"
    if not folder.exists():
        say(f"building the disk of an emulated Pi ({release}), about five minutes")
        part = CACHE / f"{release}.part"
        run("rm", "-rf", str(part))
        part.mkdir(parents=True)
        _build(release, part)
        os.replace(part, folder)
    return Disk(folder)


def modules_in_order(shown: str) -> list[str]:
    """Return the paths of the modules in the order in which to load them, from `modprobe --show-depends`.

    Modules that are built into the kernel are left out.
    """
    paths = re.findall(r"^insmod (\S+)", shown, re.MULTILINE)
    return list(dict.fromkeys(paths))


def _build(release: str, folder: Path) -> None:
    root, tarball = folder / "root", folder / "root.tar"
    hooks = (f"--customize-hook={hook} $1 {release}" for hook in (CUSTOMIZE, _CUSTOMIZE))
    options = ("--architectures=arm64", "--skip=cleanup/apt", *hooks)
    bootstrap(release, tarball, variant="minbase", packages=_PACKAGES, options=options)
    root.mkdir()
    run("tar", "--numeric-owner", "-xf", str(tarball), "-C", str(root))
    tarball.unlink()
    version = next((root / "usr/lib/modules").iterdir()).name
    target = Disk(folder)
    shutil.copy(root / "boot" / f"vmlinuz-{version}", target.kernel)
    shutil.copy(root / "boot" / "firmware" / "cmdline.txt", folder / "cmdline.txt")
    _make_initramfs(root, version, target.initramfs)
    run("mke2fs", "-q", "-t", "ext4", "-L", "rootfs", "-d", str(root), str(target.root), _DISK_SIZE)
    run("chown", "-R", f"{os.getuid()}:{os.getgid()}", str(target.root))
    run("rm", "-rf", str(root))


def _make_initramfs(root: Path, version: str, archive: Path) -> None:
    tree = archive.with_name("initramfs.tree")
    for name in ("bin", "dev", "modules", "root"):
        (tree / name).mkdir(parents=True)
    shutil.copy(root / "bin" / "busybox", tree / "bin")
    shutil.copy(_INIT, tree / "init")
    shown = [run("modprobe", "-d", str(root), "-S", version, "--show-depends", module) for module in _MODULES]
    for number, path in enumerate(modules_in_order("\n".join(shown))):
        content = Path(path).read_bytes()
        name = f"{number:02}-{Path(path).name}"
        if name.endswith(".xz"):
            name, content = name.removesuffix(".xz"), lzma.decompress(content)
        (tree / "modules" / name).write_bytes(content)
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    with archive.open("wb") as output:
        done = subprocess.run(
            as_root("cpio", "--quiet", "--create", "--format=newc", "--owner=0:0"),
            input="\n".join(names).encode(), stdout=output, stderr=subprocess.PIPE, cwd=tree, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"cpio failed with {done.returncode}: {done.stderr.decode().strip()}")
    shutil.rmtree(tree)
