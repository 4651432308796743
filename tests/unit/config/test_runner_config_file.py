# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that runs on the Pi: what it replies, and what is left on the disk after it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.pifleet.ci.plugins.module_utils import _durable_file as durable
from ansible_collections.pifleet.ci.plugins.module_utils import _system_id
from ansible_collections.pifleet.ci.plugins.modules import runner_config_file

ID = "s_123456789012"
Execute = Callable[..., dict[str, Any]]


@pytest.fixture
def execute(capsys: pytest.CaptureFixture[str]) -> Execute:
    """Run the module as Ansible does; the reply of one that fails has `failed`."""

    def run(check: bool = False, **arguments: Any) -> dict[str, Any]:
        with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            runner_config_file.main()
        reply: dict[str, Any] = json.loads(capsys.readouterr().out)
        return reply

    return run


@pytest.fixture
def path(tmp_path: Path) -> str:
    """config.toml in directories that are not there yet."""
    return str(tmp_path / "etc" / "gitlab-runner" / "config.toml")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes a system ID and directories, but no config.toml."""
    write = durable._write

    def fail(seen: durable.Seen, *arguments: Any) -> None:
        if seen.path.endswith("config.toml"):
            raise OSError(28, "No space left on device")
        write(seen, *arguments)

    monkeypatch.setattr(durable, "_write", fail)


def tree(directory: Path) -> dict[str, str]:
    """Every file below by its path with its content, and every directory with a slash at its end."""
    return {
        f"{each.relative_to(directory)}{'/' if each.is_dir() else ''}": "" if each.is_dir() else each.read_text()
        for each in sorted(directory.rglob("*"))
    }


def test_a_file_is_taken_back_with_all_that_was_made_for_it(execute: Execute, path: str, tmp_path: Path) -> None:
    made = execute(path=path, content="x = 1\n", expected_sha256="absent", system_id=ID)
    assert made["made_system_id"] is True
    assert made["made_directories"] == [str(tmp_path / "etc"), str(tmp_path / "etc" / "gitlab-runner")]
    absent = {
        "path": path,
        "state": "absent",
        "expected_sha256": made["sha256"],
        "system_id": ID,
        "empty_directories": made["made_directories"],
    }
    before = tree(tmp_path)
    foretold = execute(check=True, **absent)
    assert tree(tmp_path) == before
    removed = execute(**absent)
    assert tree(tmp_path) == {}
    assert removed == foretold
    assert (removed["changed"], removed["exists"]) == (True, False)
    assert removed["removed_directories"] == made["made_directories"][::-1]
    assert removed["diff"]["after"] == "absent\n"
    again = execute(**absent)
    assert (again["changed"], again["exists"], again["removed_directories"]) == (False, False, [])


def test_a_second_replacement_has_made_nothing(execute: Execute, path: str) -> None:
    execute(path=path, content="x = 1\n", system_id=ID)
    again = execute(path=path, content="x = 2\n", system_id=ID)
    assert (again["made_system_id"], again["made_directories"]) == (False, [])


def test_what_others_have_put_there_stays(execute: Execute, path: str, tmp_path: Path) -> None:
    made = execute(path=path, content="x = 1\n", system_id=ID)
    beside = Path(path).parent
    (beside / "theirs").write_text("")
    (beside / ".runner_system_id").write_text("s_theirs000000")
    execute(path=path, state="absent", system_id=ID, empty_directories=made["made_directories"])
    assert tree(beside) == {"theirs": "", ".runner_system_id": "s_theirs000000"}


def test_a_file_that_was_changed_is_not_removed(execute: Execute, path: str) -> None:
    made = execute(path=path, content="x = 1\n", system_id=ID)
    Path(path).write_text("x = 2\n")
    for expected in (made["sha256"], "absent"):
        reply = execute(
            path=path,
            state="absent",
            expected_sha256=expected,
            system_id=ID,
            empty_directories=[os.path.dirname(path)],
        )
        assert (reply["failed"], reply["conflict"]) == (True, True)
        assert "was changed by somebody else since it was read; nothing was removed." in reply["msg"]
    assert tree(Path(path).parent) == {".runner_system_id": ID, "config.toml": "x = 2\n"}


def test_former_contents_stay_and_what_killed_writers_left_goes(execute: Execute, path: str) -> None:
    execute(path=path, content="x = 1\n")
    execute(path=path, content="x = 2\n", backup=3)
    (Path(path).parent / ".config.toml.pifleet-abc").write_text("half")
    assert execute(path=path, state="absent", empty_directories=[os.path.dirname(path)])["changed"]
    assert tree(Path(path).parent) == {"config.toml.backup-1": "x = 1\n"}


def test_a_link_stays_and_the_file_it_leads_to_goes(execute: Execute, path: str, tmp_path: Path) -> None:
    link = tmp_path / "config.toml"
    link.symlink_to(path)
    execute(path=path, content="x = 1\n")
    assert "is a symbolic link" in execute(path=str(link), state="absent", symlink="refuse")["msg"]
    assert execute(path=str(link), state="absent")["changed"]
    assert (link.is_symlink(), os.path.exists(path)) == (True, False)


def test_directories_that_are_links_or_full_stay(execute: Execute, path: str, tmp_path: Path) -> None:
    execute(path=path, content="x = 1\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "full" / "of").mkdir(parents=True)
    directories = [str(tmp_path / name) for name in ("link", "full", "missing")]
    reply = execute(path=path, state="absent", empty_directories=directories)
    assert reply["removed_directories"] == []
    assert {"empty/", "link/", "full/", "full/of/"} <= tree(tmp_path).keys()


@pytest.mark.usefixtures("full")
def test_a_failure_leaves_nothing_where_nothing_was(execute: Execute, path: str, tmp_path: Path) -> None:
    assert "the disk is full" in execute(path=path, content="x = 1\n", system_id=ID)["msg"]
    assert tree(tmp_path) == {}


@pytest.mark.usefixtures("full")
def test_a_failure_keeps_what_was_there(execute: Execute, path: str) -> None:
    Path(path).parent.mkdir(parents=True)
    _system_id.seed_system_id(os.path.dirname(path), ID, check=False)
    assert "the disk is full" in execute(path=path, content="x = 1\n", system_id=ID)["msg"]
    assert tree(Path(path).parent) == {".runner_system_id": ID}


def test_two_wishes_at_once_are_refused(execute: Execute, path: str) -> None:
    assert "give one of the two" in execute(path=path, state="absent", content="x = 1\n")["msg"]
