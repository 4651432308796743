# SPDX-License-Identifier: GPL-3.0-or-later
"""Glue: a host's settings for the first boot <-> the boot partition of its card. All of it on the control node."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._action import checked_arguments
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.devices import device_number, device_problems
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.passwords import stable_hash
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.plan import AUTO, FILES, FORMATS, CardError, plan
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.settings import CardSettingsError, Settings, settings_of
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.targets import Target, TargetError, target_at

WIFI_SPEC: dict[str, Any] = {
    "ssid": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "psk": {"type": "str", "default": "", "no_log": True},
    "country": {"type": "str", "default": ""},
    "hidden": {"type": "bool", "default": False},
}
ARGUMENT_SPEC: dict[str, Any] = {
    "target": {"type": "str", "required": True},
    "format": {"type": "str", "choices": list(FORMATS), "default": AUTO},
    "hostname": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "default": "", "no_log": True},
    "password_hash": {"type": "str", "default": "", "no_log": True},
    "passwordless_sudo": {"type": "bool", "default": False},
    "authorized_keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
    "wifi": {"type": "dict", "default": {}, "options": WIFI_SPEC},
    "locale": {"type": "str", "default": ""},
    "timezone": {"type": "str", "default": ""},
    "replace": {"type": "bool", "default": False},
    "confirmed_device": {"type": "str", "default": ""},
    "fixed_device": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        reply: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        options = checked_arguments(self, ARGUMENT_SPEC)
        host = str((task_vars or {}).get("inventory_hostname", ""))
        settings = _settings(options, host)
        path = os.path.abspath(os.path.expanduser(options["target"]))  # the loader's base is that of the playbook
        with _one_sentence(host, path):
            target = target_at(path)
            if target.is_device:
                _refuse_device(path, options)
            chosen, changes = plan(
                target.read(FILES), settings, options["format"], hashed=stable_hash, replace=options["replace"]
            )
            if changes and not self._task.check_mode:
                _refuse_unconfirmed(target, path, options)
                for change in changes:
                    target.write(change.name, change.after, private=change.private)
        return {
            **reply,
            "changed": bool(changes),
            "diff": [change.diff for change in changes],
            "format": chosen,
            "files": [change.name for change in changes],
            "is_device": target.is_device,
            "target": path,
        }


def _settings(options: dict[str, Any], host: str) -> Settings:
    try:
        return settings_of(options)
    except CardSettingsError as error:
        raise AnsibleActionFail("\n".join(f"{host}: {problem}" for problem in error.problems)) from None


def _refuse_device(path: str, options: dict[str, Any]) -> None:
    for problem in device_problems(device_number(path), fixed=options["fixed_device"]):
        raise TargetError(problem)


def _refuse_unconfirmed(target: Target, path: str, options: dict[str, Any]) -> None:
    if target.is_device and options["confirmed_device"] != path:
        raise TargetError(f"is a device and not confirmed: set card_confirmed_device to {path} to have it written to.")


@contextmanager
def _one_sentence(host: str, path: str) -> Iterator[None]:
    try:
        yield
    except (TargetError, CardError) as error:
        raise AnsibleActionFail(f"{host}: {path} {error}") from None
