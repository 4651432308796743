# SPDX-License-Identifier: GPL-3.0-or-later
"""A watched play sees what leaks, wherever it does: else the tests of secrecy would prove nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core
from plays.watched_play import WatchedPlay

pytestmark = pytest.mark.slow

NAMES = {"said", "registered", "argument", "inherited", "copied", "guarded"}
SECRETS = {name: f"glrt-{name}-0123456789" for name in NAMES}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> WatchedPlay:
    return WatchedPlay(request.param, tmp_path)


def copied(play: WatchedPlay, name: str, mode: str) -> dict[str, Any]:
    task = {"dest": str(play.directory / name), "content": SECRETS[name], "mode": mode}
    return {"ansible.builtin.copy": task, "no_log": True, "diff": False}


def test_every_leak_is_seen(play: WatchedPlay) -> None:
    tasks = [
        {"ansible.builtin.debug": {"msg": SECRETS["said"]}},
        {"ansible.builtin.set_fact": {"cacheable": True, "fact": SECRETS["registered"]}, "no_log": True},
        {"ansible.builtin.command": {"argv": ["sh", "-c", "sleep 0.3", SECRETS["argument"]]}, "no_log": True},
        {"ansible.builtin.command": "sleep 0.3", "environment": {"TOKEN": SECRETS["inherited"]}, "no_log": True},
        copied(play, "copied", "0640"),
        copied(play, "guarded", "0600"),
    ]
    # A file that `copy` creates can be read by everybody for a moment.
    for name in ("play.yml", "guarded"):
        (play.directory / name).touch(mode=0o600)
    done = play.run(tasks)
    assert done.returncode == 0, done.stdout + done.stderr
    (facts,) = play.directory.glob("facts/*")
    assert play.leaks(SECRETS) == {
        ("said", "output"),
        ("said", "log (0644)"),
        ("said", "results (0644)"),
        ("registered", f"facts/{facts.name} (0644)"),
        ("argument", "processes"),
        ("inherited", "processes"),
        ("inherited", "arguments and environment of ssh"),
        ("inherited", "calls (0644)"),
        ("copied", "copied (0640)"),
    }
    assert {name for name, secret in SECRETS.items() if play.sent_to_hosts(secret)} == NAMES - {"said", "registered"}
    assert play.holders([SECRETS["guarded"]]) == {"guarded", "play.yml"}
