# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: the desired runners of a host, its config.toml and GitLab. Decisions are in plugin_utils/_registration."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments, require_libraries
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.difference import config_differs
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import Connections
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.config_file import ConfigFile
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import ARGUMENT_SPEC, OptionsError
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.result import combined
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.task import register_all, wanted_runners
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import IMPORT_ERROR as TOMLKIT_IMPORT_ERROR


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        reply: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        require_libraries(tomlkit=TOMLKIT_IMPORT_ERROR, requests=IMPORT_ERROR)
        options = checked_arguments(self, ARGUMENT_SPEC)
        host = str(task_vars.get("inventory_hostname", ""))
        try:
            wanted = wanted_runners(options, host)
        except OptionsError as error:
            raise AnsibleActionFail(str(error)) from None

        file = ConfigFile(self, task_vars, options["config_path"], options["recover"])
        connections = Connections(self._loader.path_dwim)
        registered = register_all(wanted, file, connections, check_mode=self._task.check_mode)
        reply.update(combined(registered.results))
        warnings = registered.warnings
        if file.recovered_from:
            reply.update(changed=True, recovered_from=file.recovered_from)
            warnings.append(
                f"{host}: {options['config_path']} was empty or corrupt; the backup {file.recovered_from} is restored."
            )
        if options["config"]:
            reply["config_differs"] = reply["changed"] or config_differs(file.latest, options["config"])
        reply["warnings"] = list(dict.fromkeys(warnings))
        if registered.failures:
            raise AnsibleActionFail("\n".join(registered.failures), result=reply)
        return reply
