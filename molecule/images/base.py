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


def base_image(packages: Sequence[str], sbin: Sequence[str] = ()) -> str:
    """Return the tag of an image with these Debian packages and their dependencies, built if missing.

    sbin: which programs of /usr/sbin it keeps.
    """
    archive = _archive(packages, "", sbin)
    tag = f"pifleet/base:{archive.stem.removeprefix('base-')}"
    if not docker("images", "-q", tag):
        docker("import", str(base_archive(packages, sbin=sbin)), tag)
    return tag


def base_archive(packages: Sequence[str], architecture: str = "", sbin: Sequence[str] = ()) -> Path:
    """Return a tarball of these Debian packages and their dependencies, built if missing.

    architecture: as dpkg has it, this machine's if empty. sbin: which programs of /usr/sbin it keeps.
    """
    archive = _archive(packages, architecture, sbin)
    if not archive.exists():
        say(f"unpacking {', '.join(packages)} ({_SUITE}, {architecture or 'this architecture'})")
        _unpack(packages, architecture, archive, sbin)
    return archive


def _archive(packages: Sequence[str], architecture: str, sbin: Sequence[str]) -> Path:
    inputs = [_SUITE, *packages, *_EXCLUDED, *_INCLUDED, *sbin, *([architecture] if architecture else [])]
    return CACHE / f"base-{hashlib.sha256(' '.join(inputs).encode()).hexdigest()[:12]}.tar"


def _unpack(packages: Sequence[str], architecture: str, archive: Path, sbin: Sequence[str]) -> None:
    unfiltered, filtered = archive.with_suffix(".unfiltered.tar"), archive.with_suffix(".filtered.tar")
    options = (f"--architectures={architecture}",) if architecture else ()
    bootstrap(_SUITE, unfiltered, variant="extract", packages=",".join(["base-files", *packages]), options=options)
    included = {*_INCLUDED, *(f"./usr/sbin/{name}" for name in sbin)}
    with tarfile.open(unfiltered) as source, tarfile.open(filtered, "w") as target:
        for member in source:
            if member.name in included or not _is_excluded(member.name):
                target.addfile(member, source.extractfile(member) if member.isreg() else None)
    unfiltered.unlink()
    os.replace(filtered, archive)


def _is_excluded(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _EXCLUDED)
