# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: one wanted runner, the host's config.toml and GitLab. All thinking is in plugin_utils/_registration*.py."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.basic import missing_required_lib
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import ConfigTomlError
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.recovery import (
    corrupt_file_error,
    is_corrupt,
    newest_valid,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import (
    connect,
    connection_warnings,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import ConcurrentChanges, register
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import (
    REGISTRATION_OPTIONS,
    OptionsError,
    desired_runner,
    without_effect,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import UnsafeChange
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.result import left_behind, result
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import (
    HostFile,
    HostFileError,
    read_backups,
    read_host_file,
    remove_host_file,
    replace_host_file,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import IMPORT_ERROR as TOMLKIT_IMPORT_ERROR


class HostConfig:
    """The FilePort of a real host."""

    def __init__(self, action: ActionBase, task_vars: dict[str, Any], path: str, recover: bool) -> None:
        self._action, self._task_vars, self._path, self._recover = action, task_vars, path, recover
        self.recovered_from = ""
        self._made: dict[str, Any] = {}  # by this run, also before it read the file anew

    def read(self) -> HostFile:
        seen = replace(read_host_file(self._action, self._task_vars, self._path), **self._made)
        if not (is_corrupt(seen) and seen.backups):
            return seen
        if not self._recover:
            raise corrupt_file_error(seen)
        self.recovered_from, content = newest_valid(read_backups(self._action, self._task_vars, self._path))
        return self.replace(seen, content)

    def replace(self, seen: HostFile, content: str) -> HostFile:
        return self._remembered(replace_host_file(self._action, self._task_vars, seen, content))

    def remove(self, seen: HostFile) -> HostFile:
        return self._remembered(remove_host_file(self._action, self._task_vars, seen))

    def _remembered(self, written: HostFile) -> HostFile:
        self._made = {"made_directories": written.made_directories, "made_system_id": written.made_system_id}
        return written


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        reply = super().run(tmp, task_vars)
        del tmp
        if TOMLKIT_IMPORT_ERROR:
            raise AnsibleActionFail(missing_required_lib("tomlkit>=0.13", reason="on the control node"))
        if IMPORT_ERROR:
            raise AnsibleActionFail(missing_required_lib("requests>=2.32, urllib3>=2", reason="on the control node"))
        options = checked_arguments(self, REGISTRATION_OPTIONS)
        host = str(task_vars.get("inventory_hostname", ""))
        try:
            desired = desired_runner(options, host)
            if options["ca_path"]:
                options["ca_path"] = self._loader.path_dwim(options["ca_path"])
            file = HostConfig(self, task_vars, options["config_path"], options["recover"])
            outcome = register(
                desired, file, connect(options), run=secrets.token_hex(4), check_mode=self._task.check_mode
            )
        except OptionsError as error:
            raise AnsibleActionFail(str(error)) from None
        except (GitLabError, UnsafeChange, HostFileError, ConcurrentChanges, ConfigTomlError) as error:
            raise AnsibleActionFail(f"{desired}: {error}") from None
        reply.update(result(desired, outcome))
        warnings = left_behind(desired, outcome.observed)
        if file.recovered_from:
            reply.update(changed=True, recovered_from=file.recovered_from)
            warnings.append(f"The file was empty or corrupt; the backup {file.recovered_from} is restored.")
        ignored = without_effect(options)
        if ignored:
            warnings.append(f"{', '.join(ignored)} can only be kept in GitLab with api_token.")
        warnings = [f"{desired}: {warning}" for warning in warnings]
        return {**reply, "warnings": [*connection_warnings(options), *warnings]}
