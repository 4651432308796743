# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends running containers is done on one batch of hosts after the other, within one play.

The roles' own batch.yml is run with another task file in place of what it includes.
"""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from drawing import takes
from plays.cores import on_every_core
from plays.play import Play

pytestmark = [pytest.mark.slow, takes(30, "rollout")]

HOSTS = [f"pi-0{number}" for number in range(1, 6)]
ROLES = Path(__file__).parents[3] / "roles"
FILES = {"docker": ["change.yml"], "gitlab_runner": ["run.yml", "wait.yml"], "raspberry_pi": ["restart.yml"]}
WITHOUT_CHANGES = "pi-02"
ROLLOUT = [1, "40%"]


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def run(
    play: Play, role: str, breaks: str, drained: str = "", rollout: list[Any] | None = ROLLOUT
) -> tuple[str, list[list[str]]]:
    """Return the output, and which hosts came to each step of each batch, in the order in which that was."""
    log = play.directory / "log"
    steps = [
        {
            "ansible.builtin.raw": f"echo {number} {{{{ inventory_hostname }}}} >> {log}",
            "failed_when": f"inventory_hostname == '{breaks}'",
        }
        for number in (1, 2)
    ]
    for name in FILES[role]:
        (play.directory / name).write_text(json.dumps(steps if name == FILES[role][0] else []))
    (play.directory / "no_space.yml").write_text((ROLES / "gitlab_runner" / "tasks" / "no_space.yml").read_text())
    (play.directory / "batch.yml").write_text((ROLES / role / "tasks" / "batch.yml").read_text())
    variables = [{"ansible.builtin.include_vars": str(path)} for path in (ROLES / role / "vars").rglob("*.yml")]
    tasks = [yaml.safe_load((ROLES / role / "tasks" / f"{name}.yml").read_text()) for name in ("apply", "change")]
    loop = next(task for task in chain(*tasks) if "loop" in task)
    disrupts = f"{{{{ inventory_hostname != '{WITHOUT_CHANGES}' }}}}"
    decided = {
        **({"pifleet_rollout": rollout} if rollout else {}),
        "_docker_clock_differs": False,
        "_docker_pending": False,
        "_gitlab_runner_no_space": f"{{{{ 'is full: free it.' if inventory_hostname == '{drained}' else '' }}}}",
        **{f"_{role}_{what}": disrupts for what in ("differs", "run_differs", "disrupts", "reboots")},
        **dict.fromkeys(
            ("_raspberry_pi_cmdline_differs", "_raspberry_pi_drop_ins_differ", "_raspberry_pi_throttled"), False
        ),
        "_raspberry_pi_asked": True,
        "_raspberry_pi_reboot_reasons": [],
    }
    (play.directory / "decided.yml").write_text(json.dumps(decided))
    decide = {"ansible.builtin.include_vars": str(play.directory / "decided.yml")}
    done = play.run_plays([{"hosts": "all", "tasks": [*variables, decide, loop]}], hosts=HOSTS)
    lines = log.read_text().splitlines() if log.exists() else []
    return done.stdout + done.stderr, [line.split() for line in lines]


@pytest.mark.parametrize("role", FILES)
def test_one_batch_is_finished_before_the_next_one(play: Play, role: str) -> None:
    output, lines = run(play, role, "")
    assert "failed=0" in output
    seen = [(host, step) for step, host in lines]
    assert seen[:3] == [("pi-01", "1"), ("pi-01", "2"), ("pi-03", "1")]
    assert seen[3] == ("pi-03", "2")
    assert sorted(seen[4:6]) == [("pi-04", "1"), ("pi-05", "1")]
    assert sorted(seen[6:]) == [("pi-04", "2"), ("pi-05", "2")]


@pytest.mark.parametrize("role", FILES)
def test_a_failure_stops_the_batches_after_it(play: Play, role: str) -> None:
    output, lines = run(play, role, "pi-03")
    assert lines == [["1", "pi-01"], ["2", "pi-01"], ["1", "pi-03"]]
    assert "because pi-03 failed before" in " ".join(output.split())
    assert output.count("failed=1") == 3


def test_pis_reboot_one_after_the_other(play: Play) -> None:
    output, lines = run(play, "raspberry_pi", "", rollout=None)
    assert "failed=0" in output
    hosts = [host for host in HOSTS if host != WITHOUT_CHANGES]
    assert lines == [[step, host] for host in hosts for step in ("1", "2")]


def test_a_host_without_disk_space_does_not_stop_the_batches_after_it(play: Play) -> None:
    output, lines = run(play, "gitlab_runner", "", drained="pi-03")
    assert "pi-03 is full: free it." in " ".join(output.split())
    assert output.count("failed=1") == 1
    assert {host for _, host in lines} == {"pi-01", "pi-04", "pi-05"}
