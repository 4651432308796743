# SPDX-License-Identifier: GPL-3.0-or-later
"""Base images of unpacked Debian packages, without maintainer scripts, documentation and locales."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

from lab.bootstrap import bootstrap
from lab.host import CACHE, docker, say

_SUITE = "trixie"
_EXCLUDED = (
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
_INCLUDED = ("./usr/sbin/update-ca-certificates",)


def base_image(packages: Sequence[str]) -> str:
    """Return the tag of an image with these Debian packages and their dependencies, built if missing."""
    recipe = hashlib.sha256(" ".join([_SUITE, *packages, *_EXCLUDED, *_INCLUDED]).encode()).hexdigest()[:12]
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
    unfiltered, filtered = archive.with_suffix(".unfiltered.tar"), archive.with_suffix(".filtered.tar")
    bootstrap(_SUITE, unfiltered, variant="extract", packages=",".join(["base-files", *packages]))
    with tarfile.open(unfiltered) as source, tarfile.open(filtered, "w") as target:
        for member in source:
            if _is_included(member.name):
                target.addfile(member, source.extractfile(member) if member.isreg() else None)
    unfiltered.unlink()
    os.replace(filtered, archive)


def _is_included(name: str) -> bool:
    return name in _INCLUDED or not any(fnmatch.fnmatchcase(name, pattern) for pattern in _EXCLUDED)
