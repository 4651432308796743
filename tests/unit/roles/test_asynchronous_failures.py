# SPDX-License-Identifier: GPL-3.0-or-later
"""An asynchronous task that does not end in time has no exit code. That is a failure, whatever decides by the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core
from plays.play import ROOT, Play
from plays.table import run_each, show

pytestmark = pytest.mark.slow

TIMED_OUT: dict[str, Any] = {"failed": False, "msg": "async task did not complete within the requested time - 3600s"}
SKIPPED = {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def failures(play: Play, role: str, variable: str, result: str, **facts: Any) -> dict[str, Any]:
    """The variable of the role for each of the results, which the task has registered under that name."""
    names = ROOT / "roles" / role / "vars"
    include = {"dir": str(names / "main")} if (names / "main").is_dir() else {"file": str(names / "main.yml")}
    cases: dict[str, Any] = {}
    for name, (found, _expected) in CASES.items():
        known = {"ansible.builtin.set_fact": {result: found, **facts}}
        cases[name] = [{"ansible.builtin.include_vars": include}, known, show(variable)], {}
    outcomes = run_each(play, cases)
    return {name: outcome.value for name, outcome in outcomes.items()}


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "success": ({"rc": 0, "stderr": ""}, ""),
    "skipped": (SKIPPED, ""),
    "a reason": ({"rc": 1, "stderr": "no space\n"}, "no space"),
    "no reason": ({"rc": 1, "stderr": "", "msg": "non-zero return code"}, "non-zero return code"),
    "it timed out": (TIMED_OUT, TIMED_OUT["msg"]),
}
EXPECTED = {name: expected for name, (_found, expected) in CASES.items()}


def test_the_check_of_the_disk_space(play: Play) -> None:
    assert failures(play, "disk_space", "_disk_space_failure", "_disk_space_checked") == EXPECTED


def test_the_update_of_the_service(play: Play) -> None:
    found = failures(
        play, "gitlab_runner", "_gitlab_runner_service_update_failure", "_gitlab_runner_service_update",
        _gitlab_runner_update_host="pi-01",
    )  # fmt: skip
    assert found == EXPECTED
