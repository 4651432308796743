# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab Runner as packages of the control node, for fleets that run it so."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from images.build import runner_files
from images.packages import runner_packages

FIRST = "19.3"


def package_settings(folder: Path, number: int) -> dict[str, Any]:
    """Build the packages of a version that ends in the number, and return the variables that ask for it."""
    version = f"{FIRST}.{number}-1"
    target = folder / "packages" / version
    target.mkdir(parents=True, exist_ok=True)
    debs = [
        {"path": str(deb), "sha256": hashlib.sha256(deb.read_bytes()).hexdigest()}
        for deb in runner_packages(target, version, runner_files())
    ]
    return {"gitlab_runner_package": {"version": version, "debs": debs}}
