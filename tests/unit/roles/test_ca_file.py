# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the control node looks for the certificate of the CA."""

from __future__ import annotations

from pathlib import Path

import pytest
from plays.cores import on_every_core
from plays.play import ROOT, Play

pytestmark = pytest.mark.slow


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def found(play: Play, name: str) -> str:
    """The path that the role takes for the name, on a host of the inventory beside which `ours.crt` lies."""
    inventory = play.directory / "inventory"
    inventory.mkdir()
    (inventory / "hosts.ini").write_text("pi-02\n")
    (inventory / "ours.crt").touch()
    (play.directory / "playbook.crt").touch()
    tasks = [
        {"ansible.builtin.include_vars": str(ROOT / "roles" / "gitlab_runner" / "vars" / "main" / "main.yml")},
        {"ansible.builtin.debug": {"msg": "CA=({{ _gitlab_runner_ca_file }})"}},
    ]
    plays = [{"hosts": "pi-02", "tasks": tasks, "vars": {"gitlab_runner_ca_file": name}}]
    done = play.run_plays(plays, "-i", str(inventory / "hosts.ini"))
    assert "CA=(" in done.stdout, done.stdout + done.stderr
    return done.stdout.split("CA=(")[1].split(")")[0].replace(str(play.directory), "")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("", ""),
        ("ours.crt", "/inventory/ours.crt"),
        ("playbook.crt", "/playbook.crt"),
        ("/etc/ssl/certs/missing.crt", "/etc/ssl/certs/missing.crt"),
        ("missing.crt", "missing.crt"),
    ],
)
def test_a_relative_path_starts_beside_the_inventory(play: Play, name: str, path: str) -> None:
    assert found(play, name) == path
