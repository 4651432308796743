# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of the simulated Pis, made from the Debian mirror that this machine uses itself."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .host import CACHE, docker, run, say

_CUSTOMIZE = Path(__file__).with_name("customize.sh")
_PACKAGES = (
    "systemd,systemd-sysv,dbus,python3,python3-apt,openssh-server,sudo,iproute2,procps,kmod,ca-certificates,"
    "strace"  # in Raspberry Pi OS Lite, too; the tests of power cuts use it
)


def pi_image(suite: str) -> str:
    """Return the tag of the image of a freshly flashed Pi with that Debian suite, making it when it is missing."""
    recipe = hashlib.sha256(_CUSTOMIZE.read_bytes() + _PACKAGES.encode()).hexdigest()[:12]
    tag = f"pifleet/pi:{suite}-{recipe}"
    if docker("images", "-q", tag):
        return tag
    tarball = CACHE / f"pi-{suite}-{recipe}.tar"
    if not tarball.exists():
        say(f"making the root file system of a Pi ({suite}), about half a minute")
        _bootstrap(
            suite, tarball, "minbase", _PACKAGES, "--skip=cleanup/apt", f"--customize-hook={_CUSTOMIZE} $1 {suite}"
        )
    say(f"importing {tag}")
    docker("import", str(tarball), tag)
    return tag


def registry_image() -> str:
    """Return the tag of an image with Debian's docker-registry, making it when it is missing."""
    tag = "pifleet/registry:debian"
    if docker("images", "-q", tag):
        return tag
    tarball = CACHE / "registry.tar"
    if not tarball.exists():
        say("making the image of the lab's registry")
        _bootstrap("bookworm", tarball, "extract", "docker-registry,libc6,ca-certificates")
    docker("import", "--change", 'CMD ["/usr/bin/docker-registry", "serve", "/registry.yml"]', str(tarball), tag)
    return tag


def _bootstrap(suite: str, tarball: Path, variant: str, packages: str, *options: str) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    part = tarball.with_suffix(".part.tar")
    run("mmdebstrap", f"--variant={variant}", f"--include={packages}", *options, suite, str(part))
    run("chown", f"{os.getuid()}:{os.getgid()}", str(part))
    os.replace(part, tarball)
