# SPDX-License-Identifier: GPL-3.0-or-later
"""The ansible-cores that plays are run with.

PIFLEET_ANSIBLE_PLAYBOOKS names their ansible-playbook programs, separated by colons; scripts/cores.sh makes and prints
them. Without it there is one: that of the environment the tests run in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sizes import CORES, drawn

_OWN = str(Path(sys.executable).with_name("ansible-playbook"))
PLAYBOOKS = [str(Path(path).absolute()) for path in os.environ.get("PIFLEET_ANSIBLE_PLAYBOOKS", _OWN).split(":")]


def core_name(program: str) -> str:
    """What the ids of tests call a core: the name of its environment."""
    return Path(program).parents[1].name


def on_every_core(function: Callable[..., Any]) -> Any:
    """Make a fixture `play` out of a function whose `request.param` is the ansible-playbook program to use.

    `make soak` takes every core, `make test` a few that are drawn for the function's file.
    """
    return pytest.fixture(params=drawn(PLAYBOOKS, CORES, function.__module__), ids=core_name)(function)


on_one_core = pytest.mark.parametrize("play", PLAYBOOKS[:1], ids=core_name, indirect=True)
"""For a test in whose matter a core has no say."""
