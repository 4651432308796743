# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: everything that registration and configuration would refuse, found before any of them has run."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments, require_libraries
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._preflight import PREFLIGHT_OPTIONS, preflight
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import IMPORT_ERROR as TOMLKIT_IMPORT_ERROR

ARGUMENT_SPEC = PREFLIGHT_OPTIONS


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        reply: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        require_libraries(tomlkit=TOMLKIT_IMPORT_ERROR, requests=IMPORT_ERROR)
        options = checked_arguments(self, ARGUMENT_SPEC)
        found = preflight(options, str((task_vars or {}).get("inventory_hostname", "")), self._loader.path_dwim)
        if found.problems:
            raise AnsibleActionFail("\n".join(found.problems))
        return {**reply, "changed": False, "warnings": found.warnings}
