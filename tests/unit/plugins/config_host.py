# SPDX-License-Identifier: GPL-3.0-or-later
"""runner_config, run on a host whose module is a stand-in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.action import runner_config

TEXT = '[[runners]]\nname = "one"\ntoken = "first"\n'


class Host:
    """A host whose file others change before each of our first ``disturbances`` replacements."""

    def __init__(self, disturbances: int = 0) -> None:
        self.content, self.disturbances, self.executions = TEXT, disturbances, 0
        self.quiet: list[bool] = []
        self.mode, self.pending = "0600", False
        self._connection = SimpleNamespace(_play_context=SimpleNamespace(no_log=False))
        self._task = SimpleNamespace(check_mode=False)

    def _execute_module(
        self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        assert module_name == "pifleet.ci.runner_config_file"
        self.executions += 1
        self.arguments = module_args
        self.quiet.append(self._connection._play_context.no_log)
        if module_args.get("state") == "absent":
            return {"exists": False, "removed_directories": []}
        if "content" not in module_args:
            return {
                "exists": True,
                "content": self.content,
                "sha256": str(hash(self.content)),
                "mode": self.mode,
                "backups": [],
                "system_id": "s_123456789012",
                "system_id_seeded": False,
                "warnings": [object()],
                **self._marked(module_args),
            }
        if self.disturbances:
            self.disturbances -= 1
            self.content = self.content.replace("first", "rotated").replace("rotated", f"rotated{self.disturbances}")
        if module_args["expected_sha256"] != str(hash(self.content)):
            return {"failed": True, "conflict": True, "msg": "was changed by somebody else"}
        self.content, self.mode = module_args["content"], module_args["mode"]
        self.pending = self.pending or "pending" in module_args
        return {
            "exists": True,
            "sha256": str(hash(self.content)),
            "mode": self.mode,
            "content": "x",
            "made_directories": ["/etc/gitlab-runner"],
            "made_system_id": True,
            **self._marked(module_args),
        }

    def _marked(self, module_args: dict[str, Any]) -> dict[str, bool]:
        return {"pending": self.pending} if "pending" in module_args else {}


def configure(host: Host, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> dict[str, Any]:
    given = {name: argument.get("default") for name, argument in runner_config.ARGUMENT_SPEC.items()} | arguments
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
    action = object.__new__(runner_config.ActionModule)
    action.__dict__.update(
        _connection=host._connection, _task=host._task, _execute_module=host._execute_module, _loader=DataLoader()
    )
    monkeypatch.setattr(action, "validate_argument_spec", lambda argument_spec: (None, given), raising=False)
    result: dict[str, Any] = action.run(task_vars={"inventory_hostname": "pi-01"})
    return result
