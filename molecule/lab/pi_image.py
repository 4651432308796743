# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the simulated Pis and of the registry, imported from Debian root file systems."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .bootstrap import bootstrap
from .host import CACHE, docker, say

CUSTOMIZE = Path(__file__).with_name("customize.sh")
_CUSTOMIZE_CONTAINER = Path(__file__).with_name("customize_container.sh")
_CUSTOMIZE_FLASHED = Path(__file__).with_name("customize_flashed.sh")
PACKAGES = (
    "systemd,systemd-sysv,dbus,python3,python3-apt,openssh-server,sudo,iproute2,procps,kmod,ca-certificates,"
    "strace"  # part of Raspberry Pi OS Lite, too; the kill tests use it
)


def pi_image(suite: str) -> str:
    """Return the tag of the image of a Pi of that Debian suite after its first boot, built if missing."""
    return _image("pi", suite, PACKAGES, (CUSTOMIZE, _CUSTOMIZE_CONTAINER))


def flashed_image(suite: str) -> str:
    """Return the tag of the image of a Pi before its first boot, which cloud-init sets up then, built if missing."""
    return _image("flashed", suite, f"{PACKAGES},cloud-init", (CUSTOMIZE, _CUSTOMIZE_CONTAINER, _CUSTOMIZE_FLASHED))


def _image(name: str, suite: str, packages: str, hooks: tuple[Path, ...]) -> str:
    recipe = hashlib.sha256(b"".join(hook.read_bytes() for hook in hooks) + packages.encode()).hexdigest()[:12]
    tag = f"pifleet/{name}:{suite}-{recipe}"
    if docker("images", "-q", tag):
        return tag
    tarball = CACHE / f"{name}-{suite}-{recipe}.tar"
    if not tarball.exists():
        say(f"building the root file system of a Pi ({name}, {suite}), about half a minute")
        options = ("--skip=cleanup/apt", *(f"--customize-hook={hook} $1 {suite}" for hook in hooks))
        bootstrap(suite, tarball, variant="minbase", packages=packages, options=options)
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
