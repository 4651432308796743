# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens stand in no output, however much of it there is, and in no list of processes."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

import pytest
from drawing import takes
from lab.fleet import Lab
from plays.processes import ProcessWatcher
from testinfra.host import Host

pytestmark = takes(16, together="secrecy")

CHANGE = ["--limit", "pi-02", "-e", "gitlab_runner_global={'concurrent':3,'check_interval':2}"]


@dataclass(frozen=True)
class Shown:
    """What two plays show at the highest verbosity: one changes a Pi, one changes it back and the others not."""

    texts: list[str]
    """The output of each play, and its log."""
    command_lines: str
    """Those of all processes, on this machine and on the Pis, while the plays ran."""


@pytest.fixture(scope="module")
def shown(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    log = tmp_path_factory.mktemp("logs") / "log"
    with ProcessWatcher() as watcher:
        plays = [lab.play("-vvvv", "--diff", *more, ANSIBLE_LOG_PATH=str(log)) for more in (CHANGE, [])]
    for play in plays:
        assert play.code == 0, play.output[-3000:]
    return Shown([*(play.output for play in plays), log.read_text()], watcher.command_lines)


@pytest.fixture(scope="module")
def tokens(lab: Lab, pis: dict[str, Host]) -> dict[str, str]:
    """Every token of the fleet by what it is; it is what the output is searched for."""
    found = {"API token": lab.variables["gitlab_runner_api_token"]}
    for name, pi in pis.items():
        config = tomllib.loads(pi.file("/etc/gitlab-runner/config.toml").content_string)
        found |= {f"{name} {runner['name']}": runner["token"] for runner in config["runners"]}
    assert all(len(token) > 15 for token in found.values())
    return found


def test_no_token_in_the_output_at_the_highest_verbosity(shown: Shown, tokens: dict[str, str]) -> None:
    for text in shown.texts:
        assert [what for what, token in tokens.items() if token in text] == []
    assert "+concurrent = 3" in shown.texts[0], "the diff shows what is no secret"


def test_no_token_in_the_list_of_processes(shown: Shown, tokens: dict[str, str]) -> None:
    assert "ansible-playbook" in shown.command_lines, "the watcher saw the control node"
    assert "/usr/bin/python3\0" in shown.command_lines.splitlines(), (
        "and the Pis, where a module comes through the standard input"
    )
    assert [what for what, token in tokens.items() if token in shown.command_lines] == []
