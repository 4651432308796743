# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens stand in no output, however much of it there is, and in no list of processes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from lab.fleet import Lab
from plays.processes import ProcessWatcher
from testinfra.host import Host


def tokens(lab: Lab, pis: dict[str, Host]) -> dict[str, str]:
    """Every token of the fleet by what it is; it is what the output is searched for."""
    found = {"API token": lab.variables["gitlab_runner_api_token"]}
    for name, pi in pis.items():
        config = tomllib.loads(pi.file("/etc/gitlab-runner/config.toml").content_string)
        found |= {f"{name} {runner['name']}": runner["token"] for runner in config["runners"]}
    assert all(len(token) > 15 for token in found.values())
    return found


@pytest.mark.parametrize("how", ["unchanged", "changed and back"])
def test_no_token_in_the_output_at_the_highest_verbosity(
    lab: Lab, pis: dict[str, Host], how: str, tmp_path: Path
) -> None:
    runs = [["-vvvv", "--diff"]]
    if how != "unchanged":
        runs.insert(0, ["-vvvv", "--diff", "-e", "gitlab_runner_global={'concurrent':3,'check_interval':2}"])
    for arguments in runs:
        play = lab.play(*arguments, ANSIBLE_LOG_PATH=str(tmp_path / "log"))
        assert play.code == 0, play.output[-3000:]
        for text in (play.output, (tmp_path / "log").read_text()):
            assert [what for what, token in tokens(lab, pis).items() if token in text] == []
    if how != "unchanged":
        assert "concurrent" in play.output, "the diff shows what is no secret"


def test_no_token_in_the_list_of_processes(lab: Lab, pis: dict[str, Host]) -> None:
    with ProcessWatcher() as watcher:
        play = lab.play("-e", "gitlab_runner_global={'concurrent':3,'check_interval':2}")
        play_back = lab.play()
    assert play.code == play_back.code == 0, play.output
    seen = watcher.command_lines
    assert "ansible-playbook" in seen, "the watcher saw the control node"
    assert "/usr/bin/python3\0" in seen.splitlines(), "and the Pis, where a module comes through the standard input"
    assert [what for what, token in tokens(lab, pis).items() if token in seen] == []
