# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: wait until a host's runners are online in GitLab. Nothing runs on the host."""

from __future__ import annotations

from functools import partial
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments, require_libraries
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import GITLAB_OPTIONS, Connections
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.wait import (
    RunnerNotContacted,
    recently_contacted,
    wait,
)

CONNECTION: dict[str, Any] = {
    name: {key: value for key, value in option.items() if key != "default"} for name, option in GITLAB_OPTIONS.items()
}
ARGUMENT_SPEC: dict[str, Any] = {
    **{name: option for name, option in GITLAB_OPTIONS.items() if name != "timeout"},
    "connections": {"type": "list", "elements": "dict", "options": CONNECTION},
    "runners": {"type": "list", "elements": "dict", "required": True},
    "system_id": {"type": "str", "required": True},
    "changed": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 180.0},
}
FIELDS = ("id", "name", "status", "contacted_at")
REQUEST_SECONDS = 30.0


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        reply = super().run(tmp, task_vars)
        del tmp
        require_libraries(requests=IMPORT_ERROR)
        options = checked_arguments(self, ARGUMENT_SPEC)
        host = (task_vars or {}).get("inventory_hostname")
        runners, connections = options["runners"], options["connections"] or [{}] * len(options["runners"])
        if len(connections) != len(runners):
            raise AnsibleActionFail(f"{host}: connections has {len(connections)} items for {len(runners)} runners.")
        asked = [
            (connection, runner)
            for connection, runner in zip(map(partial(_connection, options), connections), runners, strict=True)
            if connection["api_token"]
        ]
        known = [runner for _unused, runner in asked]
        if self._task.check_mode or (not options["changed"] and all(map(recently_contacted, known))):
            shown = [{field: runner.get(field) for field in FIELDS} for runner in known]
            return {**reply, "changed": False, "runners": shown}
        try:
            gitlabs = Connections(self._loader.path_dwim)
            ports = [(gitlabs.get(connection), runner) for connection, runner in asked]
            shown = wait(ports, options["system_id"], seconds=options["timeout"])
        except (GitLabError, RunnerNotContacted) as error:
            raise AnsibleActionFail(f"{host}: {error}") from None
        return {**reply, "changed": False, "runners": shown}


def _connection(options: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """How GitLab is asked about one runner: what its own connection says, else what the task says."""
    common = {name: options[name] for name in GITLAB_OPTIONS if name != "timeout"}
    chosen = {**common, **{name: value for name, value in own.items() if value is not None}}
    seconds = chosen.get("timeout") or REQUEST_SECONDS
    return {**chosen, "timeout": min(seconds, options["timeout"])}
