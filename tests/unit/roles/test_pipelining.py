# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks turn pipelining on, and any inventory can turn it off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from plays.cores import on_every_core
from plays.play import ROOT, Play

pytestmark = pytest.mark.slow

INVENTORY = """
all:
  hosts:
    pi-01:
    pi-02:
  children:
    others:
      vars: {ansible_pipelining: false}
      hosts: {pi-02: {}}
"""


class PlayOfInventory(Play):
    """With the pipelining that its inventory says, and not as the other tests."""

    @property
    def variables(self) -> dict[str, Any]:
        return {name: value for name, value in super().variables.items() if name != "ansible_pipelining"}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return PlayOfInventory(request.param, tmp_path)


def test_it_is_on_where_the_inventory_does_not_turn_it_off(play: Play) -> None:
    inventory = play.directory / "hosts.yml"
    inventory.write_text(INVENTORY)
    load = yaml.safe_load((ROOT / "playbooks" / "tasks" / "gather_host.yml").read_text())[0]
    shown = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} {{ ansible_pipelining }}"}}
    output = play.run_plays([{"hosts": "all", "tasks": [load, shown]}], hosts=inventory).stdout
    assert "pi-01 True" in output
    assert "pi-02 False" in output
