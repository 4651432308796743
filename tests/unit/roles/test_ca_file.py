# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the control node looks for the certificate of the CA, and where GitLab Runner does."""

from __future__ import annotations

from pathlib import Path

import pytest
from plays.cores import on_every_core
from plays.play import ROOT, Play
from plays.table import run_each, show

pytestmark = pytest.mark.slow


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


CASES = {
    "": "",
    "ours.crt": "/inventory/ours.crt",
    "playbook.crt": "/playbook.crt",
    "/etc/ssl/certs/missing.crt": "/etc/ssl/certs/missing.crt",
    "missing.crt": "missing.crt",
}


def test_a_relative_path_starts_beside_the_inventory(play: Play) -> None:
    inventory = play.directory / "inventory"
    inventory.mkdir()
    (inventory / "ours.crt").touch()
    (play.directory / "playbook.crt").touch()
    tasks = [
        {"ansible.builtin.include_vars": str(ROOT / "roles" / "gitlab_runner" / "vars" / "main" / "main.yml")},
        show("_gitlab_runner_ca_file"),
    ]
    cases = {name: (tasks, {"gitlab_runner_ca_file": name}) for name in CASES}
    outcomes = run_each(play, cases, inventory=inventory / "hosts.ini")
    found = {name: outcome.value.replace(str(play.directory), "") for name, outcome in outcomes.items()}
    assert found == CASES


# The client of GitLab Runner takes what stands before the first colon of the address, in the letters it is written in.
# https://gitlab.com/gitlab-org/gitlab-runner/-/blob/v19.3.0/network/client.go
NAMES = {
    "https://gitlab.example.com": "gitlab.example.com.crt",
    "https://GitLab.Example.com:8443/gitlab/": "GitLab.Example.com.crt",
    "https://192.0.2.7:8443": "192.0.2.7.crt",
    "https://[2001:db8::7]:8443": "[2001.crt",
}


def test_gitlab_runner_finds_the_certificate(play: Play) -> None:
    tasks = [
        {"ansible.builtin.include_vars": str(ROOT / "roles" / "gitlab_runner" / "vars" / "main" / "main.yml")},
        show("_gitlab_runner_ca_path"),
    ]
    common = {"gitlab_runner_config_dir": "/etc/gitlab-runner"}
    outcomes = run_each(play, {url: (tasks, {**common, "gitlab_runner_url": url}) for url in NAMES})
    assert {url: outcome.value for url, outcome in outcomes.items()} == {
        url: f"/etc/gitlab-runner/certs/{name}" for url, name in NAMES.items()
    }
