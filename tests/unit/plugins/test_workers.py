# SPDX-License-Identifier: GPL-3.0-or-later
"""What the workers that Ansible forks do not have to collect."""

from __future__ import annotations

from pathlib import Path

import pytest
from plays.cores import on_every_core
from plays.play import Play

CALLBACK = """
import gc
from ansible.plugins.callback import CallbackBase
DOCUMENTATION = "name: frozen\\ntype: aggregate\\nshort_description: Show\\ndescription: Show"
class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_NAME = "frozen"
    CALLBACK_TYPE = "aggregate"
    def v2_playbook_on_stats(self, stats):
        self._display.display(f"frozen={gc.get_freeze_count() > 10000}")
"""


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


@pytest.mark.slow
def test_an_action_of_ours_freezes_the_objects_of_the_process_that_forks(play: Play) -> None:
    (play.directory / "frozen.py").write_text(CALLBACK)
    (play.directory / "ansible.cfg").write_text(
        f"[defaults]\ncallback_plugins={play.directory}\ncallbacks_enabled=frozen\n"
    )
    assert "frozen=False" in play.run([{"ansible.builtin.debug": {}}]).stdout
    assert "frozen=True" in play.run([{"pifleet.ci.validate_roles": {"roles": []}}]).stdout
