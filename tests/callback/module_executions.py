# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counts what a run costs a Pi: each execution of a module, also those that an action plugin makes on its own."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: module_executions
type: aggregate
short_description: Write one line of JSON for each execution of a module on a host
description:
  - Counting tasks is not enough. An action such as M(ansible.builtin.copy) executes several, a skipped task none.
  - The environment variable E(PIFLEET_MODULE_EXECUTIONS) names the file to append to.
"""


def _recording(execute: Any, path: str) -> Any:
    def execute_module(self: ActionBase, module_name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        line = {
            "host": self._task.delegate_to or self._connection._play_context.remote_addr,
            "module": module_name or self._task.action,
            "task": self._task.get_name(),
            "transport": self._connection.transport,
        }
        # Workers are processes of their own: a short line in append mode arrives whole.
        with open(path, "a", encoding="utf-8") as record:
            record.write(json.dumps(line) + "\n")
        return execute(self, module_name, *args, **kwargs)

    return execute_module


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Wraps `ActionBase._execute_module` before the workers are forked."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "module_executions"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        path = os.environ.get("PIFLEET_MODULE_EXECUTIONS")
        if path:
            ActionBase._execute_module = _recording(ActionBase._execute_module, path)
