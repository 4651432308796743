# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of a task, checked against what the action declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.pifleet.ci.plugins.plugin_utils._plain import to_plain
from ansible_collections.pifleet.ci.plugins.plugin_utils._tokens import mask_tokens

if TYPE_CHECKING:
    from ansible.plugins.action import ActionBase


def checked_arguments(action: ActionBase, spec: dict[str, Any]) -> dict[str, Any]:
    """The arguments as plain values. Ansible quotes what it refuses; a token in the wrong place is left out of that."""
    try:
        arguments: dict[str, Any] = to_plain(action.validate_argument_spec(argument_spec=spec)[1])
    except AnsibleError as error:
        raise AnsibleActionFail(mask_tokens(str(error))) from None
    return arguments
