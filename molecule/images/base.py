# SPDX-License-Identifier: GPL-3.0-or-later
"""Small root file systems: Debian packages unpacked, not installed, without documentation and the like."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

from lab.host import CACHE, docker, run, say

_SUITE = "trixie"
_NOT_WANTED = (
    "./boot/*",
    "./dev/*",
    "./usr/bin/dpkg*",
    "./usr/lib/python3*/ensurepip*",
    "./usr/lib/python3*/pydoc_data*",
    "./usr/lib/python3*/test*",
    "./usr/lib/*/gconv*",
    "./usr/lib/*/libdb-*",
    "./usr/sbin/*",
    "./usr/share/bash-completion*",
    "./usr/share/doc*",
    "./usr/share/info*",
    "./usr/share/locale*",
    "./usr/share/man*",
    "./usr/share/perl5*",
    "./usr/share/zsh*",
    "./var/lib/apt*",
    "./var/lib/dpkg*",
)
_WANTED_STILL = ("./usr/sbin/update-ca-certificates",)


def base_image(packages: Sequence[str]) -> str:
    """Return the tag of an image with these packages of Debian and what they depend on, making it when missing."""
    recipe = hashlib.sha256(" ".join([_SUITE, *packages, *_NOT_WANTED, *_WANTED_STILL]).encode()).hexdigest()[:12]
    tag = f"pifleet/base:{recipe}"
    if docker("images", "-q", tag):
        return tag
    archive = CACHE / f"base-{recipe}.tar"
    if not archive.exists():
        say(f"unpacking {', '.join(packages)} ({_SUITE})")
        _unpack(packages, archive)
    docker("import", str(archive), tag)
    return tag


def _unpack(packages: Sequence[str], archive: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    whole, part = archive.with_suffix(".whole.tar"), archive.with_suffix(".part.tar")
    run("mmdebstrap", "--variant=extract", f"--include={','.join(['base-files', *packages])}", _SUITE, str(whole))
    run("chown", f"{os.getuid()}:{os.getgid()}", str(whole))
    with tarfile.open(whole) as source, tarfile.open(part, "w") as target:
        for member in source:
            if _wanted(member.name):
                target.addfile(member, source.extractfile(member) if member.isreg() else None)
    whole.unlink()
    os.replace(part, archive)


def _wanted(name: str) -> bool:
    return name in _WANTED_STILL or not any(fnmatch.fnmatchcase(name, pattern) for pattern in _NOT_WANTED)
