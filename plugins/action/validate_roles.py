# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: what the preflight of several roles would refuse, in one task. Ansible's own action validates the arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments
from ansible_collections.pifleet.ci.plugins.plugin_utils._tokens import mask_tokens

ARGUMENT_SPEC: dict[str, Any] = {"roles": {"type": "list", "elements": "str", "required": True}}
_ROLES = Path(__file__).parents[2] / "roles"
_CHECKED_ELSEWHERE = {"gitlab_runner"}  # after all hosts were compared, by gitlab_runner_preflight


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
        checked = [role for role in roles if role not in _CHECKED_ELSEWHERE]
        problems = [problem for role in checked for problem in self._problems(role, variables)]
        if problems:
            raise AnsibleActionFail("\n".join(dict.fromkeys(problems)))
        return {**reply, "changed": False}

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
        name = f"_{role}_problems"
        if name not in variables:
            raise AnsibleActionFail(f"roles has {role}, and this play does not import the role pifleet.ci.{role}.")
        problems: list[str] = self._templar.template(variables[name])
        return problems


def _options(role: str) -> dict[str, Any]:
    """The arguments that the preflight of a role of this collection takes. Raises AnsibleActionFail."""
    try:
        text = (_ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    except OSError:
        raise AnsibleActionFail(f"roles has {role}, which is no role of pifleet.ci.") from None
    options: dict[str, Any] = yaml_load(text)["argument_specs"]["preflight"]["options"]
    return options
