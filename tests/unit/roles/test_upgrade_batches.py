# SPDX-License-Identifier: GPL-3.0-or-later
"""upgrade.yml takes one batch of hosts after the other, and stops after too many failures, not because of silent hosts.

The tasks of the playbook itself are run, with an entry in a log in place of what upgrades a host.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays.cores import on_every_core
from plays.play import Play

pytestmark = pytest.mark.slow

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
HOSTS = [f"pi-0{number}" for number in range(1, 7)]
CURRENT = "pi-02"


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def named(tasks: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(task for task in tasks if task["name"] == name)


def run(play: Play, breaks: str = "", silent: str = "", **variables: Any) -> tuple[str, list[str]]:
    """Return the output, and the hosts in the order in which their two steps were done."""
    # The host is the last but one of ssh's arguments.
    play.ssh.write_text(
        f'#!/bin/sh\nfor last; do host=$before before=$last; done\n[ "$host" != "{silent}" ] || exit 255\n'
        'exec /bin/sh -c "$last"\n'
    )
    connect = {"ansible.builtin.raw": "true", "register": "pifleet_host"}
    log = play.directory / "log"
    (play.directory / "tasks").mkdir()
    upgrade = yaml.safe_load((PLAYBOOKS / "tasks" / "upgrade_host.yml").read_text())
    inner = named(upgrade[0]["block"], "Upgrade and configure the host")
    inner["block"] = [
        {
            "ansible.builtin.raw": f"echo {{{{ inventory_hostname }}}} >> {log}",
            "failed_when": f"inventory_hostname == '{breaks}'",
        }
        for _step in range(2)
    ] + [named(inner["block"], "Set that the host is upgraded")]
    (play.directory / "tasks" / "upgrade_host.yml").write_text(json.dumps(upgrade))
    tasks = yaml.safe_load((PLAYBOOKS / "upgrade.yml").read_text())[0]["tasks"]
    plan = yaml.safe_load((PLAYBOOKS / "tasks" / "upgrade_plan.yml").read_text())
    report = yaml.safe_load((PLAYBOOKS / "tasks" / "upgrade_report.yml").read_text())
    seen = {
        "docker_outdated": f"{{{{ inventory_hostname != '{CURRENT}' }}}}",
        "gitlab_runner_outdated": False,
        "pifleet_host": {"architecture": "arm64"},
        **variables,
    }
    wanted = ["Configure hosts that have nothing to upgrade", "Upgrade a batch of hosts after the other"]
    done = play.run_plays(
        [
            {
                "hosts": "all",
                "gather_facts": False,
                "tasks": [
                    connect,
                    {"ansible.builtin.set_fact": seen},
                    *plan,
                    *(named(tasks, name) for name in wanted),
                    *report,
                ],
            }
        ],
        hosts=HOSTS,
    )
    return " ".join((done.stdout + done.stderr).split()), log.read_text().split()


def test_one_batch_is_finished_before_the_next_one(play: Play) -> None:
    output, seen = run(play, pifleet_serial=[1, 2])
    assert "failed=0" in output
    assert "To catch up" not in output
    assert seen[:4] == ["pi-02", "pi-02", "pi-01", "pi-01"]
    assert sorted(seen[4:6]) == sorted(seen[6:8]) == ["pi-03", "pi-04"]
    assert sorted(seen[8:10]) == sorted(seen[10:]) == ["pi-05", "pi-06"]


def test_the_first_failure_is_the_last_batch(play: Play) -> None:
    output, seen = run(play, breaks="pi-03", pifleet_serial="40%")
    assert sorted(seen) == ["pi-01", "pi-01", "pi-02", "pi-02", "pi-03"], "the batch that has begun is finished"
    assert "Failed: pi-03;" in output
    assert "Left as they are after too many failures: pi-04, pi-05, pi-06" in output
    assert "--limit pi-03,pi-04,pi-05,pi-06" in output


def test_so_many_failures_as_are_tolerated_stop_nothing(play: Play) -> None:
    output, seen = run(play, breaks="pi-03", pifleet_max_failures="1")
    assert seen == ["pi-02", "pi-02", "pi-01", "pi-01", "pi-03", "pi-04", "pi-04", "pi-05", "pi-05", "pi-06", "pi-06"]
    assert "--limit pi-03" in output
    assert "--limit pi-03," not in output


def test_an_unreachable_host_stops_nothing(play: Play) -> None:
    output, seen = run(play, silent="pi-04")
    assert set(seen) == set(HOSTS) - {"pi-04"}
    assert "Unreachable: pi-04." in output
    assert "Failed: none" in output
    assert "--limit pi-04" in output
