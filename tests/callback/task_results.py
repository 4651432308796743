# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes down each result as callbacks are told it: all of it, where the one on the screen leaves much out."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: task_results
type: aggregate
short_description: Write one line of JSON for each result of a task or of an item
description:
  - It is what callbacks get that send results elsewhere, to a database or a chat.
  - The environment variable E(PIFLEET_TASK_RESULTS) names the file to append to.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Tells no event from another."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_results"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any, **_options: Any) -> None:
        line = {"host": result.host.get_name(), "action": result.task.action, "result": result.result}
        with open(os.environ["PIFLEET_TASK_RESULTS"], "a", encoding="utf-8") as record:
            record.write(json.dumps(line, default=str) + "\n")

    v2_runner_on_failed = v2_runner_on_skipped = v2_runner_on_unreachable = v2_runner_retry = v2_runner_on_ok
    v2_runner_item_on_ok = v2_runner_item_on_failed = v2_runner_item_on_skipped = v2_on_file_diff = v2_runner_on_ok
