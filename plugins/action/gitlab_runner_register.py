# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: the desired runners of a host, its config.toml and GitLab. Decisions are in plugin_utils/_registration."""

from __future__ import annotations

import secrets
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.basic import missing_required_lib
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.difference import config_differs
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import ConfigTomlError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import (
    Connections,
    connection_warnings,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import (
    ConcurrentChanges,
    Outcome,
    register,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.config_file import ConfigFile
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import DesiredRunner
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import (
    ARGUMENT_SPEC,
    OptionsError,
    desired_runner,
    options_of_runners,
    without_effect,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import UnsafeChange
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.result import combined, left_behind, result
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFileError
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import IMPORT_ERROR as TOMLKIT_IMPORT_ERROR


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        reply: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        if TOMLKIT_IMPORT_ERROR:
            raise AnsibleActionFail(missing_required_lib("tomlkit>=0.13", reason="on the control node"))
        if IMPORT_ERROR:
            raise AnsibleActionFail(missing_required_lib("requests>=2.32, urllib3>=2", reason="on the control node"))
        options = checked_arguments(self, ARGUMENT_SPEC)
        host = str(task_vars.get("inventory_hostname", ""))
        try:
            runners = options_of_runners(options, host)
            desired = [desired_runner(each, host) for each in runners]
        except OptionsError as error:
            raise AnsibleActionFail(str(error)) from None

        file = ConfigFile(self, task_vars, options["config_path"], options["recover"])
        connections = Connections(self._loader.path_dwim)
        done: list[dict[str, Any]] = []
        failures: list[str] = []
        warnings: list[str] = []
        for each, own in zip(desired, runners, strict=True):
            try:
                outcome = register(
                    each, file, connections.get(own), run=secrets.token_hex(4), check_mode=self._task.check_mode
                )
                file.share()
            except (GitLabError, UnsafeChange, HostFileError, ConcurrentChanges, ConfigTomlError) as error:
                failures.append(f"{each}: {error}")
                continue
            done.append(result(each, outcome))
            warnings += [*connection_warnings(own), *(f"{each}: {text}" for text in _warnings(each, own, outcome))]
        reply.update(combined(done))
        if file.recovered_from:
            reply.update(changed=True, recovered_from=file.recovered_from)
            warnings.append(
                f"{host}: {options['config_path']} was empty or corrupt; the backup {file.recovered_from} is restored."
            )
        if options["config"]:
            reply["config_differs"] = reply["changed"] or config_differs(file.latest, options["config"])
        reply["warnings"] = list(dict.fromkeys(warnings))
        if failures:
            raise AnsibleActionFail("\n".join(failures), result=reply)
        return reply


def _warnings(desired: DesiredRunner, options: dict[str, Any], outcome: Outcome) -> list[str]:
    ignored = without_effect(options)
    return [
        *left_behind(desired, outcome.observed),
        *([f"{', '.join(ignored)} can only be kept in GitLab with api_token."] if ignored else []),
    ]
