# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether runner_config has anything to do, told without running it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.difference import config_differs
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile

CONTENT = 'concurrent = 2\n\n[[runners]]\n  name = "docker"\n  url = "https://gitlab.lab"\n  executor = "docker"\n'
SEEN = HostFile("/etc/gitlab-runner/config.toml", True, CONTENT, "0" * 64, "s_1", True)
SAME: dict[str, Any] = {
    "global": {"concurrent": 2},
    "runners": [{"name": "docker", "executor": "docker"}],
    "purge": True,
    "unknown_keys": "fail",
}


def test_the_file_is_as_it_would_become() -> None:
    assert not config_differs(SEEN, SAME)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"global": {"concurrent": 3}}, id="a global setting"),
        pytest.param({"runners": [{"name": "docker", "executor": "docker", "limit": 1}]}, id="a key of an entry"),
        pytest.param({"runners": [{"name": "shell", "executor": "shell"}]}, id="an entry that is missing"),
        pytest.param({"runners": []}, id="an entry to purge"),
        pytest.param({"global": {"concurrent": "many"}}, id="a wrong setting, of which runner_config tells"),
        pytest.param({"global": {"concurrent": 2, "new": 1}, "unknown_keys": "warn"}, id="a warning"),
    ],
)
def test_runner_config_has_something_to_do_or_to_say(options: dict[str, Any]) -> None:
    assert config_differs(SEEN, {**SAME, **options})


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(None, id="not read"),
        pytest.param(replace(SEEN, exists=False, content="", sha256=None), id="missing"),
        pytest.param(replace(SEEN, content=""), id="empty"),
        pytest.param(replace(SEEN, content=CONTENT[:-9]), id="cut"),
        pytest.param(replace(SEEN, mode=0o644), id="readable by others"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_differs(seen: HostFile | None) -> None:
    assert config_differs(seen, SAME)
