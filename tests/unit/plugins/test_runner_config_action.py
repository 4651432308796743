# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action does when somebody else writes at the same time, and what crosses the border from Ansible."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.pifleet.ci.plugins.plugin_utils._plain import to_plain
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import (
    HostFileConflict,
    HostFileError,
    read_host_file,
    remove_host_file,
    replace_host_file,
)
from unit.plugins.config_host import TEXT, Host, configure


def test_a_token_rotated_meanwhile_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(disturbances=2)
    result = configure(host, monkeypatch, runners=[{"name": "one", "limit": 1}])
    assert (result["changed"], result["takes_effect"]) == (True, "automatically")
    assert host.content == '[[runners]]\nname = "one"\ntoken = "rotated01"\nlimit = 1\n'
    assert host.executions == 6


def test_it_gives_up_when_the_file_never_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleActionFail, match="changed by somebody else"):
        configure(Host(disturbances=9), monkeypatch, runners=[{"name": "one", "limit": 1}])


def test_no_change_is_one_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    assert configure(host, monkeypatch, runners=[{"name": "one", "limit": 0}]) == {
        "changed": False,
        "takes_effect": "unchanged",
    }
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


RESTART = {"listen_address": ":9252"}


def test_a_restart_that_is_needed_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The play may die before it; the next run finds nothing changed, and the marker."""
    host = Host()
    assert configure(host, monkeypatch, **{"global": RESTART})["takes_effect"] == "after_restart"
    assert host.arguments["pending"] == "/etc/gitlab-runner/.restart-pending"
    for settings in (RESTART, {"concurrent": 2}):
        assert configure(host, monkeypatch, **{"global": settings})["takes_effect"] == "after_restart"
    host.pending = False
    result = configure(host, monkeypatch, **{"global": RESTART})
    assert (result["changed"], result["takes_effect"]) == (False, "unchanged")


def test_what_needs_no_restart_marks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    assert configure(host, monkeypatch, **{"global": {"concurrent": 2}})["takes_effect"] == "automatically"
    assert host.pending is False


def test_check_mode_foretells_a_restart_and_marks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    host._task.check_mode = True
    assert configure(host, monkeypatch, **{"global": RESTART})["takes_effect"] == "after_restart"
    assert host.executions == 1


def test_a_group_may_go_on_reading_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """GitLab Runner may not be root."""
    host = Host()
    for before, after in (("0640", "0640"), ("0664", "0640"), ("0604", "0600"), ("0400", "0600")):
        host.mode = before
        result = configure(host, monkeypatch, **{"global": {"concurrent": host.executions + 1}})
        assert (result["changed"], host.mode) == (True, after)
        result = configure(host, monkeypatch)
        assert result["changed"] is False


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_warning_says_of_which_host_it_is(monkeypatch: pytest.MonkeyPatch, check_mode: bool) -> None:
    """Ansible shows a warning once that several hosts give alike."""
    host = Host()
    host._task.check_mode = check_mode
    result = configure(host, monkeypatch, unknown_keys="warn", **{"global": {"brand_new": 1}})
    assert [warning.partition(" is ")[0] for warning in result["warnings"]] == ["pi-01: brand_new"]


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
