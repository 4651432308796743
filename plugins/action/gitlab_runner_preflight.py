# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: everything that registration and configuration would refuse, found before any of them has run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments, require_libraries
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.cache import cache_problems
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.memory import memory_limits
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.options import CONFIG_OPTIONS
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import SchemaError, validate_settings
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import Connections, connection_warnings
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import (
    REGISTRATION_OPTIONS,
    OptionsError,
    desired_runner,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import IMPORT_ERROR as TOMLKIT_IMPORT_ERROR

ARGUMENT_SPEC: dict[str, Any] = {
    "registrations": {"type": "list", "elements": "dict", "default": [], "options": REGISTRATION_OPTIONS},
    **{name: CONFIG_OPTIONS[name] for name in ("global", "runners", "unknown_keys")},
    "problems": {"type": "list", "elements": "str", "default": []},
    "memory_controller": {"type": "bool", "default": True},
    "namespace": {"type": "str"},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        reply: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        require_libraries(tomlkit=TOMLKIT_IMPORT_ERROR, requests=IMPORT_ERROR)
        options = checked_arguments(self, ARGUMENT_SPEC)
        host = str((task_vars or {}).get("inventory_hostname", ""))
        problems = [
            *options["problems"],
            *self._registration_problems(options["registrations"], _host_of_keys(options["namespace"], host)),
            *_setting_problems(options),
        ]
        if problems:
            raise AnsibleActionFail("\n".join(dict.fromkeys(problems)))
        warnings = [warning for each in options["registrations"] for warning in connection_warnings(each)]
        limits = [] if options["memory_controller"] else memory_limits(options["runners"])
        if limits:
            warnings.append(
                f"{host}: {' and '.join(limits)} {'have' if len(limits) > 1 else 'has'} no effect, because the kernel "
                "was started without its memory controller: set raspberry_pi_memory_cgroup to true, or take them out."
            )
        return {**reply, "changed": False, "warnings": list(dict.fromkeys(warnings))}

    def _registration_problems(self, registrations: list[dict[str, Any]], host: str) -> Iterator[str]:
        gitlabs = Connections(self._loader.path_dwim)
        for registration in registrations:
            try:
                desired_runner(registration, host)
                gitlabs.get(registration)
            except (OptionsError, GitLabError) as error:
                yield str(error)


def _host_of_keys(namespace: str | None, host: str) -> str:
    """What the keys of the runners have as their host."""
    return f"{namespace}.{host}" if namespace else host


def _setting_problems(options: dict[str, Any]) -> list[str]:
    try:
        valid = validate_settings(options["global"], options["runners"], unknown_keys=options["unknown_keys"])
    except SchemaError as error:
        return error.problems
    return cache_problems(valid.runners)
