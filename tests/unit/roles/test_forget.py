# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts the playbook forget takes for gone: nothing of a Pi that may run jobs is removed in GitLab."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from plays.cores import on_every_core
from plays.play import ROOT, Play
from plays.table import run_each, show

pytestmark = pytest.mark.slow

SSH = """#!/bin/sh
echo "$(cat {said})" >&2
exit 255
"""
SAID = {
    "ssh: connect to host pi-01 port 22: No route to host": "",
    "ssh: connect to host pi-01 port 22: Connection timed out": "",
    "pi@pi-01: Permission denied (publickey,password).": "pi-01 answers, but refuses the login",
    "Host key verification failed.": "pi-01 answers, but refuses the login",
}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


@pytest.mark.parametrize("said", SAID, ids=range(len(SAID)))
def test_a_host_that_refuses_the_login_is_not_gone(play: Play, said: str) -> None:
    (play.directory / "said").write_text(said)
    play.ssh.write_text(SSH.format(said=play.directory / "said"))
    tasks = yaml.safe_load((ROOT / "playbooks" / "forget.yml").read_text())[0]["tasks"]
    before = tasks[: [task["name"] for task in tasks].index("Remove the runners of the host")]
    outcome = run_each(play, {"": ([*before, show("true")], {"pifleet_hosts": "pi-01"})})[""]
    assert (outcome.value is None) == outcome.failed == bool(SAID[said]), outcome.output
    assert SAID[said] in outcome.output
