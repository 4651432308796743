# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the simulated Pis and of the registry, imported from Debian root file systems."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .bootstrap import bootstrap
from .host import CACHE, docker, say

_CUSTOMIZE = Path(__file__).with_name("customize.sh")
_PACKAGES = (
    "systemd,systemd-sysv,dbus,python3,python3-apt,openssh-server,sudo,iproute2,procps,kmod,ca-certificates,"
    "strace"  # part of Raspberry Pi OS Lite, too; the kill tests use it
)


def pi_image(suite: str) -> str:
    """Return the tag of the image of a freshly flashed Pi of that Debian suite, built if missing."""
    recipe = hashlib.sha256(_CUSTOMIZE.read_bytes() + _PACKAGES.encode()).hexdigest()[:12]
    tag = f"pifleet/pi:{suite}-{recipe}"
    if docker("images", "-q", tag):
        return tag
    tarball = CACHE / f"pi-{suite}-{recipe}.tar"
    if not tarball.exists():
        say(f"building the root file system of a Pi ({suite}), about half a minute")
        options = ("--skip=cleanup/apt", f"--customize-hook={_CUSTOMIZE} $1 {suite}")
        bootstrap(suite, tarball, variant="minbase", packages=_PACKAGES, options=options)
    say(f"importing {tag}")
    docker("import", str(tarball), tag)
    return tag


def registry_image() -> str:
    """Return the tag of an image with Debian's docker-registry, built if missing."""
    tag = "pifleet/registry:debian"
    if docker("images", "-q", tag):
        return tag
    tarball = CACHE / "registry.tar"
    if not tarball.exists():
        say("building the image of the lab's registry")
        bootstrap("bookworm", tarball, variant="extract", packages="docker-registry,libc6,ca-certificates")
    docker("import", "--change", 'CMD ["/usr/bin/docker-registry", "serve", "/registry.yml"]', str(tarball), tag)
    return tag
