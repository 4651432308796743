# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: what the preflight of several roles would refuse, in one task. Ansible's own action validates the arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import (
    checked_arguments,
    checked_options,
    require_libraries,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import IMPORT_ERROR
from ansible_collections.pifleet.ci.plugins.plugin_utils._preflight import PREFLIGHT_OPTIONS, Preflight, preflight
from ansible_collections.pifleet.ci.plugins.plugin_utils._tokens import mask_tokens
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import IMPORT_ERROR as TOMLKIT_IMPORT_ERROR

ARGUMENT_SPEC: dict[str, Any] = {"roles": {"type": "list", "elements": "str", "required": True}}
_ROLES = Path(__file__).parents[2] / "roles"
_RUNNERS = "gitlab_runner"  # the role that has options for gitlab_runner_preflight beside its problems


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        reply: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        variables = task_vars or {}
        roles = checked_arguments(self, ARGUMENT_SPEC)["roles"]
        self._validate_arguments(roles, variables)
        # only now, because the checks of a role take the types of its arguments for granted
        problems = [problem for role in roles if role != _RUNNERS for problem in self._problems(role, variables)]
        found = self._preflight(variables) if _RUNNERS in roles else Preflight([], [])
        if problems or found.problems:
            raise AnsibleActionFail("\n".join(dict.fromkeys([*problems, *found.problems])))
        return {**reply, "changed": False, "warnings": found.warnings}

    def _validate_arguments(self, roles: list[str], variables: dict[str, Any]) -> None:
        task = self._task.copy()
        task.args = {"argument_spec": {name: option for role in roles for name, option in _options(role).items()}}
        action = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.validate_argument_spec",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        result = action.run(task_vars=variables)
        if result.get("failed"):
            raise AnsibleActionFail(mask_tokens(f"{variables.get('inventory_hostname')}: {result['msg']}"))

    def _problems(self, role: str, variables: dict[str, Any]) -> list[str]:
        problems: list[str] = self._variable(role, "problems", variables)
        return problems

    def _preflight(self, variables: dict[str, Any]) -> Preflight:
        require_libraries(tomlkit=TOMLKIT_IMPORT_ERROR, requests=IMPORT_ERROR)
        options = checked_options(self._variable(_RUNNERS, "preflight", variables), PREFLIGHT_OPTIONS)
        return preflight(options, str(variables.get("inventory_hostname", "")), self._loader.path_dwim)

    def _variable(self, role: str, name: str, variables: dict[str, Any]) -> Any:
        try:
            variable = variables[f"_{role}_{name}"]
        except KeyError:
            raise AnsibleActionFail(
                f"roles has {role}, and this play does not import the role pifleet.ci.{role}."
            ) from None
        return self._templar.template(variable)


def _options(role: str) -> dict[str, Any]:
    """The arguments that the preflight of a role of this collection takes. Raises AnsibleActionFail."""
    try:
        text = (_ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    except OSError:
        raise AnsibleActionFail(f"roles has {role}, which is no role of pifleet.ci.") from None
    options: dict[str, Any] = yaml_load(text)["argument_specs"]["preflight"]["options"]
    return options
