# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action does when somebody else writes at the same time, and what crosses the border from Ansible."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.action import runner_config
from ansible_collections.pifleet.ci.plugins.plugin_utils._host_file import (
    HostFileConflict,
    HostFileError,
    read_host_file,
    remove_host_file,
    replace_host_file,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._plain import to_plain

TEXT = '[[runners]]\nname = "one"\ntoken = "first"\n'


class Host:
    """A host whose file others change before each of our first ``disturbances`` replacements."""

    def __init__(self, disturbances: int = 0) -> None:
        self.content, self.disturbances, self.executions = TEXT, disturbances, 0
        self.quiet: list[bool] = []
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
                "mode": "0600",
                "backups": [],
                "system_id": "s_123456789012",
                "system_id_seeded": False,
                "warnings": [object()],
            }
        if self.disturbances:
            self.disturbances -= 1
            self.content = self.content.replace("first", "rotated").replace("rotated", f"rotated{self.disturbances}")
        if module_args["expected_sha256"] != str(hash(self.content)):
            return {"failed": True, "conflict": True, "msg": "was changed by somebody else"}
        self.content = module_args["content"]
        return {
            "exists": True,
            "sha256": str(hash(self.content)),
            "mode": "0600",
            "content": "x",
            "made_directories": ["/etc/gitlab-runner"],
            "made_system_id": True,
        }


def configure(host: Host, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> dict[str, Any]:
    given = {name: argument["default"] for name, argument in runner_config.ARGUMENTS.items()} | arguments
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
    action = object.__new__(runner_config.ActionModule)
    action.__dict__.update(_connection=host._connection, _task=host._task, _execute_module=host._execute_module)
    monkeypatch.setattr(action, "validate_argument_spec", lambda argument_spec: (None, given), raising=False)
    result: dict[str, Any] = action.run(task_vars={})
    return result


def test_a_token_rotated_meanwhile_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(disturbances=2)
    result = configure(host, monkeypatch, runners=[{"name": "one", "limit": 1}])
    assert (result["changed"], result["needs"]) == (True, "poll")
    assert host.content == '[[runners]]\nname = "one"\ntoken = "rotated01"\nlimit = 1\n'
    assert host.executions == 6


def test_it_gives_up_when_the_file_never_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleActionFail, match="changed by somebody else"):
        configure(Host(disturbances=9), monkeypatch, runners=[{"name": "one", "limit": 1}])


def test_no_change_is_one_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    assert configure(host, monkeypatch, runners=[{"name": "one", "limit": 0}]) == {"changed": False, "needs": "none"}
    assert (host.executions, host.quiet) == (1, [True])
    assert host._connection._play_context.no_log is False


def test_a_change_is_two_and_check_mode_one(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    host._task.check_mode = True
    result = configure(host, monkeypatch, runners=[{"name": "new", "limit": 1}])
    assert (result["changed"], host.executions, host.content) == (True, 1, TEXT)
    host._task.check_mode = False
    configure(host, monkeypatch, runners=[{"name": "one", "limit": 1}])
    assert host.executions == 3


def test_the_host_file_says_what_it_saw() -> None:
    host: Any = Host()
    seen = read_host_file(host, {}, "/etc/gitlab-runner/config.toml")
    assert (seen.exists, seen.content, seen.system_id, seen.system_id_seeded) == (True, TEXT, "s_123456789012", False)
    written = replace_host_file(host, {}, seen, "x = 1\n", backup=1)
    assert (written.content, written.system_id_seeded, host.content) == ("x = 1\n", True, "x = 1\n")
    with pytest.raises(HostFileConflict, match="was changed by somebody else"):
        replace_host_file(host, {}, seen, "y = 1\n")


def test_what_a_run_has_made_is_taken_back_with_the_file() -> None:
    host: Any = Host()
    seen = read_host_file(host, {}, "/etc/gitlab-runner/config.toml")
    assert (seen.made_directories, seen.made_system_id) == ((), False)
    written = replace_host_file(host, {}, seen, "x = 1\n")
    assert (written.made_directories, written.made_system_id) == (("/etc/gitlab-runner",), True)
    gone = remove_host_file(host, {}, written)
    assert host.arguments == {
        "path": "/etc/gitlab-runner/config.toml",
        "state": "absent",
        "expected_sha256": written.sha256,
        "empty_directories": ["/etc/gitlab-runner"],
        "system_id": "s_123456789012",
    }
    assert (gone.exists, gone.content, gone.sha256, gone.system_id_seeded) == (False, "", None, False)
    assert (gone.made_directories, gone.made_system_id) == ((), False)


def test_a_reply_that_makes_no_sense_is_not_quoted() -> None:
    host: Any = Host()
    host._execute_module = lambda **_arguments: {"module_stdout": "token = glrt-hush", "rc": 1}
    with pytest.raises(HostFileError) as error:
        read_host_file(host, {}, "/etc/gitlab-runner/config.toml")
    assert "hush" not in str(error.value)


class Tagged(str):
    """As Ansible's tagged strings: a subclass that libraries stumble over."""


def test_to_plain() -> None:
    class Number(int):
        pass

    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    plain = to_plain({Tagged("a"): [Tagged("b"), Number(1), True, None, 1.5, (Tagged("c"),)], "d": moment})
    assert plain == {"a": ["b", 1, True, None, 1.5, ["c"]], "d": moment}
    assert {type(value) for value in [*plain, *plain["a"][:2], plain["a"][5][0]]} == {str, int}
    with pytest.raises(TypeError, match="a value of type object has no plain form"):
        to_plain([object()])
