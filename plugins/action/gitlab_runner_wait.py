# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: wait until GitLab has heard from a host's runners. Nothing runs on the host."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.basic import missing_required_lib
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._arguments import checked_arguments
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab_errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab_options import GITLAB_OPTIONS, connect
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab_transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab_wait import NotHeard, lately_heard, wait

ARGUMENT_SPEC: dict[str, Any] = {
    **GITLAB_OPTIONS,
    "url": {"type": "str", "required": True},
    "api_token": {"type": "str", "required": True, "no_log": True},
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
        if IMPORT_ERROR:
            raise AnsibleActionFail(missing_required_lib("python-gitlab", reason="on the control node"))
        options = checked_arguments(self, ARGUMENT_SPEC)
        runners = options["runners"]
        if self._task.check_mode or (not options["changed"] and all(map(lately_heard, runners))):
            shown = [{field: runner.get(field) for field in FIELDS} for runner in runners]
            return {**reply, "changed": False, "runners": shown}
        if options["ca_path"]:
            options["ca_path"] = self._loader.path_dwim(options["ca_path"])
        try:
            gitlab = connect({**options, "timeout": min(REQUEST_SECONDS, options["timeout"])})
            shown = wait(gitlab, runners, options["system_id"], seconds=options["timeout"])
        except (GitLabError, NotHeard) as error:
            raise AnsibleActionFail(f"{(task_vars or {}).get('inventory_hostname')}: {error}") from None
        return {**reply, "changed": False, "runners": shown}
