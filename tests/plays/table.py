# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of cases, each a play, in one process of ansible-playbook: to start that takes longer than a play."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plays.play import Play

_HOST = "pi-01"
_FAILED = "THE CASE HAS FAILED"


@dataclass(frozen=True)
class Outcome:
    """How the play of a case ended: what was said, on one line, and the value of `show`, if that was reached."""

    failed: bool
    output: str
    value: Any


def show(expression: str, **keywords: Any) -> dict[str, Any]:
    """Return a task whose value is that of the expression in the outcome of its case."""
    return {"ansible.builtin.debug": {"msg": f"VALUE=({{{{ {expression} | to_json | b64encode }}}})"}, **keywords}


def run_each(
    play: Play,
    cases: Mapping[str, tuple[list[dict[str, Any]], dict[str, Any]]],
    *arguments: str,
    inventory: Path | None = None,
) -> dict[str, Outcome]:
    """Run the tasks of each case with its variables, and return the outcomes by the names of the cases.

    Each case has a host of its own, so that it finds no facts of another one. In what a case consists of, and in its
    outcome, that is pi-01. The hosts are written to the inventory, where one is named.
    """
    hosts = {name: f"case{number:03}" for number, name in enumerate(cases)}
    plays = [_play(hosts[name], tasks, variables) for name, (tasks, variables) in cases.items()]
    if inventory:
        inventory.write_text("\n".join(hosts.values()))
    done = play.run_plays(plays, *arguments, hosts=inventory or hosts.values())
    warnings = re.split(r"^(?=\[)", done.stderr, flags=re.MULTILINE)
    said = dict(re.findall(r"^PLAY \[(case\d+)\] \**\n(.*?)(?=^PLAY )", done.stdout, re.MULTILINE | re.DOTALL))
    assert set(said) == set(hosts.values()), done.stdout + done.stderr
    for host in said:
        said[host] += "".join(warning for warning in warnings if host in warning)
    return {name: _outcome(said[host].replace(host, _HOST)) for name, host in hosts.items()}


def assert_refused(
    play: Play, cases: Mapping[str, tuple[list[dict[str, Any]], dict[str, Any]]], sentences: Mapping[str, list[str]]
) -> dict[str, Outcome]:
    """Assert that each case fails and says its sentences before a module is executed, and return the outcomes."""
    outcomes = run_each(play, cases)
    passed = {
        name: outcome.output
        for name, outcome in outcomes.items()
        if not outcome.failed or [sentence for sentence in sentences[name] if sentence not in outcome.output]
    }
    assert passed == {}
    assert play.module_executions == 0
    return outcomes


def _play(host: str, tasks: list[dict[str, Any]], variables: dict[str, Any]) -> dict[str, Any]:
    # ansible-playbook ends after a play of which no host is left.
    rescued = {"block": tasks, "rescue": [{"ansible.builtin.debug": {"msg": _FAILED}}]}
    text = json.dumps({"hosts": _HOST, "vars": variables, "tasks": [rescued]}).replace(_HOST, host)
    return {"name": host, **json.loads(text)}


def _outcome(said: str) -> Outcome:
    shown = re.search(r"VALUE=\((\S*)\)", said)
    return Outcome(_FAILED in said, " ".join(said.split()), json.loads(base64.b64decode(shown[1])) if shown else None)
