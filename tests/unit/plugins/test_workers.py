# SPDX-License-Identifier: GPL-3.0-or-later
"""What the workers that Ansible forks do not have to collect, or to import."""

from __future__ import annotations

from pathlib import Path

import pytest
from plays.cores import on_every_core
from plays.play import Play

CALLBACK = """
import gc, sys
from ansible.plugins.callback import CallbackBase
DOCUMENTATION = "name: frozen\\ntype: aggregate\\nshort_description: Show\\ndescription: Show"
class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_NAME = "frozen"
    CALLBACK_TYPE = "aggregate"
    def v2_playbook_on_stats(self, stats):
        loaded = "ansible_collections.pifleet.ci.plugins.filter.daemon_json" in sys.modules
        self._display.display(f"frozen={gc.get_freeze_count() > 10000} loaded={loaded}")
"""


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


@pytest.mark.slow
def test_an_action_of_ours_loads_filters_and_freezes_objects_in_the_process_that_forks(play: Play) -> None:
    (play.directory / "frozen.py").write_text(CALLBACK)
    (play.directory / "ansible.cfg").write_text(
        f"[defaults]\ncallback_plugins={play.directory}\ncallbacks_enabled=frozen\n"
    )
    assert "frozen=False loaded=False" in play.run([{"ansible.builtin.debug": {}}]).stdout
    assert "frozen=True loaded=True" in play.run([{"pifleet.ci.validate_roles": {"roles": []}}]).stdout
