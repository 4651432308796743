# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that PIFLEET_LAB names, as tests see it, and the fleet that the scenario PIFLEET_SCENARIO made of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import testinfra
from drawing import leave_out
from integration.scenarios import SCENARIO
from sizes import SECONDS
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "molecule"))

from lab.fleet import GitLab, Lab  # noqa: E402 - found through the line above

LAB = os.environ.get("PIFLEET_LAB", "molecule")
LIMIT = 600
"""Seconds for a test that names no others: a play takes a while."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LIMIT))
    leave_out(items, SECONDS, f"tests of {SCENARIO}", "PIFLEET_SECONDS")


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The lab, with the scenario's inventory."""
    return Lab(LAB, [ROOT / "molecule" / SCENARIO / "inventory"])


@pytest.fixture(scope="session")
def gitlab(lab: Lab) -> GitLab:
    """The lab's fake GitLab."""
    return lab.gitlab


@pytest.fixture(scope="session")
def pis(lab: Lab) -> dict[str, Host]:
    """The Pis over SSH as root, by inventory name."""
    options = f"-o UserKnownHostsFile={lab.folder / 'known_hosts'} -o ControlPath={lab.folder}/ssh-%C"
    return {
        name: testinfra.get_host(
            f"ssh://root@{address}", ssh_identity_file=str(lab.folder / "id_ed25519"), ssh_extra_args=options
        )
        for name, address in lab.addresses.items()
    }
