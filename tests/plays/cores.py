# SPDX-License-Identifier: GPL-3.0-or-later
"""The ansible-cores that plays are run with.

PIFLEET_ANSIBLE_PLAYBOOKS names their ansible-playbook programs, separated by colons; scripts/cores.sh makes and prints
them. Without it there is one: that of the environment the tests run in.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

_OWN = str(Path(sys.executable).with_name("ansible-playbook"))
PLAYBOOKS = [str(Path(path).absolute()) for path in os.environ.get("PIFLEET_ANSIBLE_PLAYBOOKS", _OWN).split(":")]


def _name(program: str) -> str:
    """What the ids of tests call a core: the name of its environment."""
    return Path(program).parents[1].name


on_every_core = pytest.fixture(params=PLAYBOOKS, ids=_name)
"""Makes a fixture `play` out of a function whose `request.param` is the ansible-playbook program to use."""

on_one_core = pytest.mark.parametrize("play", PLAYBOOKS[:1], ids=_name, indirect=True)
"""For a test in whose matter a core has no say."""
