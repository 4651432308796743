# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: the desired runners of a namespace, its Secret and GitLab. Decisions are in plugin_utils/_registration."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments, require_libraries
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import Connections
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.cluster import (
    IMPORT_ERROR as KUBERNETES_IMPORT_ERROR,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.cluster import connected
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import (
    SECRET_ARGUMENT_SPEC,
    OptionsError,
    require_place_of_secret,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.result import combined
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.secret_file import Secret
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.task import register_all, wanted_runners
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFileError
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import IMPORT_ERROR as TOMLKIT_IMPORT_ERROR


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        reply: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        require_libraries(tomlkit=TOMLKIT_IMPORT_ERROR, requests=IMPORT_ERROR, kubernetes=KUBERNETES_IMPORT_ERROR)
        options = checked_arguments(self, SECRET_ARGUMENT_SPEC)
        inventory_name = str((task_vars or {}).get("inventory_hostname", ""))
        # a cluster has many namespaces, and each its own runners
        host = f"{options['namespace']}.{inventory_name}"
        try:
            require_place_of_secret(options, inventory_name)
            wanted = wanted_runners(options, host)
        except OptionsError as error:
            raise AnsibleActionFail(str(error)) from None

        kubeconfig = self._loader.path_dwim(options["kubeconfig"])
        connections = Connections(self._loader.path_dwim)
        try:
            with connected(kubeconfig, options["context"], options["timeout"]) as cluster:
                secret = Secret(cluster, options["namespace"], options["secret_name"])
                registered = register_all(wanted, secret, connections, check_mode=self._task.check_mode)
        except HostFileError as error:
            raise AnsibleActionFail(f"{inventory_name}: {error}") from None
        reply.update(combined(registered.results))
        reply["warnings"] = list(dict.fromkeys([*cluster.warnings, *registered.warnings]))
        if registered.failures:
            raise AnsibleActionFail("\n".join(registered.failures), result=reply)
        return reply
