# SPDX-License-Identifier: GPL-3.0-or-later
"""A signed apt repository of GitLab Runner on a Pi of the lab, laid out as GitLab's."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.build import runner_files
from images.packages import runner_packages

from .fleet import Lab
from .signing import signed_release

_DIRECTORY = "/var/lib/lab-runner-packages"
_FIELDS = ("Package", "Version", "Architecture", "Maintainer", "Description", "Depends")


@dataclass(frozen=True)
class Offer:
    """What is offered: `settings` of gitlab_runner_package without a version, `debs` files of this machine."""

    settings: dict[str, Any]
    debs: dict[str, list[Path]]
    """By version."""


def offer_packages(
    lab: Lab,
    pi: str,
    folder: Path,
    versions: Collection[str],
    broken: Collection[str] = (),
    silent: Collection[str] = (),
    files: Mapping[str, Path] | None = None,
) -> Offer:
    """Put a repository with these versions of GitLab Runner on the Pi. Those in `broken` cannot be installed.

    Those in `silent` run, and never speak to GitLab.
    folder: an empty one of this machine, for the packages and the key.
    files: of the program, runner_files() if None. Raises LabError.
    """
    release = dict(line.split("=", 1) for line in lab.ssh(pi, "cat /etc/os-release").splitlines() if "=" in line)
    distribution, codename = (release[key].strip('"') for key in ("ID", "VERSION_CODENAME"))
    architecture = lab.ssh(pi, "dpkg --print-architecture")
    pool = folder / distribution / "pool"
    pool.mkdir(parents=True)
    files = runner_files() if files is None else files
    program = folder / "silent"
    program.write_text("#!/bin/sh\nexec sleep infinity\n")
    program.chmod(0o755)
    debs = {
        version: runner_packages(
            pool, version, {"usr/bin/gitlab-runner": program} if version in silent else files, version in broken
        )
        for version in versions
    }
    index = folder / distribution / "dists" / codename / "main" / f"binary-{architecture}"
    index.mkdir(parents=True)
    packages = "\n".join(_stanza(deb) for each in debs.values() for deb in each)
    (index / "Packages").write_text(packages)
    signed, key = signed_release(codename, "main", architecture, packages)
    (index.parents[1] / "InRelease").write_text(signed)
    withdraw_packages(lab, pi)
    with tempfile.TemporaryFile() as archive:
        subprocess.run(["tar", "-cC", str(folder), "."], check=True, stdout=archive)
        archive.seek(0)
        lab.ssh(pi, f"mkdir {_DIRECTORY} && tar -xC {_DIRECTORY} && chmod -R a+rX {_DIRECTORY}", stdin=archive)
    return Offer({"repository_url": f"file:{_DIRECTORY}", "repository_key": key}, debs)


def withdraw_packages(lab: Lab, pi: str) -> None:
    """Remove the repository from the Pi. Raises LabError."""
    lab.ssh(pi, f"rm -rf {_DIRECTORY}")


def _stanza(deb: Path) -> str:
    shown = subprocess.run(
        ["dpkg-deb", "--field", str(deb), *_FIELDS], check=True, capture_output=True, text=True
    ).stdout
    content = deb.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return f"{shown.strip()}\nFilename: pool/{deb.name}\nSize: {len(content)}\nSHA256: {digest}\n"
