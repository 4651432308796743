# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions have in common: the libraries that they need, and their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.pifleet.ci.plugins.plugin_utils._plain import to_plain
from ansible_collections.pifleet.ci.plugins.plugin_utils._tokens import mask_tokens
from ansible_collections.pifleet.ci.plugins.plugin_utils._workers import share_objects_with_workers

if TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

_REQUIREMENTS = {"tomlkit": "tomlkit>=0.13", "requests": "requests>=2.32, urllib3>=2", "kubernetes": "kubernetes>=31"}


def require_libraries(**import_errors: str | None) -> None:
    """Raise AnsibleActionFail for a library that is missing. import_errors: by library, None for one that is there."""
    for library, error in import_errors.items():
        if error:
            raise AnsibleActionFail(missing_required_lib(_REQUIREMENTS[library], reason="on the control node"))


def checked_arguments(action: ActionBase, spec: dict[str, Any]) -> dict[str, Any]:
    """The arguments as plain values. Ansible quotes what it refuses; a token in the wrong place is left out of that."""
    try:
        arguments: dict[str, Any] = to_plain(action.validate_argument_spec(argument_spec=spec)[1])
    except AnsibleError as error:
        raise AnsibleActionFail(mask_tokens(str(error))) from None
    return arguments


def checked_options(options: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """These options with their defaults, as plain values. Raises AnsibleActionFail, which quotes no token."""
    result = ArgumentSpecValidator(spec).validate(options)
    if result.error_messages:
        raise AnsibleActionFail(mask_tokens(", ".join(result.error_messages)))
    plain: dict[str, Any] = to_plain(result.validated_parameters)
    return plain


# Ansible imports an action before it forks the workers that run it.
share_objects_with_workers()
