# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that the Pis of a lab pull: GitLab Runner and what jobs run in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabImage:
    """An image: its tag in this machine's engine, its name in the registry, its variable in the inventory."""

    tag: str
    name: str
    variable: str


def lab_images() -> list[LabImage]:
    """Return the images of the lab, made where they are missing."""
    return []
