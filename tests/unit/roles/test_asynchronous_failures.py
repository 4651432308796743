# SPDX-License-Identifier: GPL-3.0-or-later
"""An asynchronous task that does not end in time has no exit code. That is a failure, whatever decides by the code."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core
from plays.play import ROOT, Play

pytestmark = pytest.mark.slow

TIMED_OUT = {"changed": True, "failed": False, "msg": "async task did not complete within the requested time - 3600s"}
SKIPPED = {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def templated(play: Play, role: str, expression: str, **variables: Any) -> Any:
    """What the expression over the role's variables comes to."""
    names = ROOT / "roles" / role / "vars"
    include = {"dir": str(names / "main")} if (names / "main").is_dir() else {"file": str(names / "main.yml")}
    tasks = [
        {"ansible.builtin.include_vars": include},
        {"ansible.builtin.debug": {"msg": f"VALUE=({{{{ {expression} | to_json | b64encode }}}})"}},
    ]
    done = play.run_plays([{"hosts": "all", "tasks": tasks}], "-e", json.dumps(variables))
    match = re.search(r"VALUE=\((.*)\)", done.stdout)
    assert match, done.stdout + done.stderr
    return json.loads(base64.b64decode(match[1]))


CASES = [
    pytest.param({"rc": 0, "stderr": ""}, "", id="success"),
    pytest.param(SKIPPED, "", id="skipped"),
    pytest.param({"rc": 1, "stderr": "no space\n"}, "no space", id="a reason"),
    pytest.param({"rc": 1, "stderr": "", "msg": "non-zero return code"}, "non-zero return code", id="no reason"),
    pytest.param(TIMED_OUT, TIMED_OUT["msg"], id="it timed out"),
]


@pytest.mark.parametrize(("result", "expected"), CASES)
def test_the_check_of_the_disk_space(play: Play, result: dict[str, Any], expected: str) -> None:
    assert templated(play, "disk_space", "_disk_space_failure", _disk_space_checked=result) == expected


@pytest.mark.parametrize(("result", "expected"), CASES)
def test_the_update_of_the_service(play: Play, result: dict[str, Any], expected: str) -> None:
    found = templated(
        play, "gitlab_runner", "_gitlab_runner_service_update_failure", _gitlab_runner_service_update=result,
        _gitlab_runner_update_host="pi-01",
    )  # fmt: skip
    assert found == expected
