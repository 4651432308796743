# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian root file systems as tarballs, made with mmdebstrap from this machine's own APT mirror."""

from __future__ import annotations

import os
from pathlib import Path

from .host import run


def bootstrap(suite: str, tarball: Path, *, variant: str, packages: str, options: tuple[str, ...] = ()) -> None:
    """Write a tarball of `suite` with `packages` (comma-separated); an interrupted run leaves no file of that name.

    `variant` and `options` are mmdebstrap's. Raises LabError when it fails.
    """
    tarball.parent.mkdir(parents=True, exist_ok=True)
    partial = tarball.with_suffix(".part.tar")
    run("mmdebstrap", f"--variant={variant}", f"--include={packages}", *options, suite, str(partial))
    run("chown", f"{os.getuid()}:{os.getgid()}", str(partial))
    os.replace(partial, tarball)
