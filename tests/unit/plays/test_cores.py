# SPDX-License-Identifier: GPL-3.0-or-later
"""The supported ansible-cores are the same wherever they are named."""

from __future__ import annotations

import re

import yaml
from plays.play import ROOT


def test_the_range_of_cores() -> None:
    cores = re.findall(r'"(2\.\d+) 3\.', (ROOT / "scripts" / "cores.sh").read_text())
    said = re.search(r"ansible-core (\S+) to (\S+) with", (ROOT / "README.md").read_text())
    assert said
    first, last = said.groups()
    minors = range(int(first.partition(".")[2]), int(last.partition(".")[2]) + 1)
    assert cores == [f"2.{minor}" for minor in minors]
    assert yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"] == f">={first}.0"
