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
from ansible_collections.pifleet.ci.plugins.module_utils import _atomic_file as atomic_file
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
    write = atomic_file._write

    def fail(seen: atomic_file.FileSnapshot, *arguments: Any) -> None:
        if seen.path.endswith("config.toml"):
            raise OSError(28, "No space left on device")
        write(seen, *arguments)

    monkeypatch.setattr(atomic_file, "_write", fail)


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


@pytest.fixture
def link(path: str, tmp_path: Path) -> str:
    """A config.toml that leads to one in another directory."""
    link = tmp_path / "link" / "config.toml"
    link.parent.mkdir()
    link.symlink_to(path)
    return str(link)


def test_the_system_id_stands_beside_the_link(execute: Execute, path: str, link: str) -> None:
    """GitLab Runner looks for it beside the path that it is given."""
    execute(path=link, content="x = 1\n", system_id=ID)
    assert tree(Path(link).parent) == {"config.toml": "x = 1\n", ".runner_system_id": ID}
    assert tree(Path(path).parent) == {"config.toml": "x = 1\n"}
    seen = execute(path=link)
    assert (seen["system_id"], seen["system_id_seeded"]) == (ID, True)
    execute(path=link, state="absent", system_id=ID)
    assert not (Path(link).parent / ".runner_system_id").exists()


def test_the_system_id_that_stood_beside_the_target_is_taken_over(execute: Execute, path: str, link: str) -> None:
    execute(path=path, content="x = 1\n", system_id=ID)  # as earlier releases did it
    seen = execute(path=link)
    assert (seen["system_id"], seen["system_id_seeded"]) == (ID, False)
    execute(path=link, content="x = 1\n", system_id=seen["system_id"])
    assert (Path(link).parent / ".runner_system_id").read_text() == ID


def test_of_two_system_ids_the_one_beside_the_link_counts(execute: Execute, path: str, link: str) -> None:
    execute(path=path, content="x = 1\n", system_id="s_aaaabbbbcccc")
    (Path(link).parent / ".runner_system_id").write_text(ID)
    assert execute(path=link)["system_id"] == ID


@pytest.mark.parametrize("name", ["empty", "garbage"])
def test_a_system_id_that_is_none_is_replaced(execute: Execute, path: str, name: str) -> None:
    Path(path).parent.mkdir(parents=True)
    beside = Path(path).parent / ".runner_system_id"
    beside.write_bytes({"empty": b"", "garbage": b"\xff\0s_"}[name])
    assert execute(path=path)["system_id_seeded"] is False
    execute(path=path, content="x = 1\n", system_id=ID)
    assert beside.read_text() == ID


def test_a_system_id_that_cannot_be_read_is_not_taken_for_none(execute: Execute, path: str) -> None:
    (Path(path).parent / ".runner_system_id").mkdir(parents=True)
    for arguments in ({}, {"content": "x = 1\n", "system_id": ID}):
        assert ".runner_system_id could not be read: is a directory." in execute(path=path, **arguments)["msg"]
    assert tree(Path(path).parent) == {".runner_system_id/": ""}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "gitlab-runner" / ".restart-pending"


def test_a_pending_restart_is_marked_before_the_content_changes(execute: Execute, path: str, marker: Path) -> None:
    assert execute(path=path, pending=str(marker))["pending"] is False
    assert execute(check=True, path=path, content="x = 1\n", pending=str(marker))["pending"] is True
    assert not marker.exists()
    assert execute(path=path, content="x = 1\n", pending=str(marker))["pending"] is True
    assert (marker.read_bytes(), marker.stat().st_mode & 0o7777) == (b"", 0o600)
    for arguments in ({}, {"content": "x = 1\n"}, {"state": "absent"}):  # until somebody has restarted and removes it
        assert execute(path=path, pending=str(marker), **arguments)["pending"] is True
    marker.unlink()
    assert execute(path=path, pending=str(marker))["pending"] is False


def test_what_is_the_same_marks_nothing(execute: Execute, path: str, marker: Path) -> None:
    execute(path=path, content="x = 1\n")
    assert execute(path=path, content="x = 1\n", mode="0640", pending=str(marker))["pending"] is False
    execute(path=path, state="absent", pending=str(marker))
    assert not marker.exists()


def test_nobody_who_asks_for_no_marker_hears_of_one(execute: Execute, path: str) -> None:
    assert "pending" not in execute(path=path)
    assert "pending" not in execute(path=path, content="x = 1\n")


@pytest.mark.usefixtures("full")
def test_a_failure_marks_nothing(execute: Execute, path: str, marker: Path, tmp_path: Path) -> None:
    assert "the disk is full" in execute(path=path, content="x = 1\n", pending=str(marker))["msg"]
    assert tree(tmp_path) == {}
    marker.parent.mkdir(parents=True)
    marker.touch()  # another one's
    assert "the disk is full" in execute(path=path, content="x = 1\n", pending=str(marker))["msg"]
    assert marker.exists()


def test_a_marker_is_named_by_its_whole_path(execute: Execute, path: str) -> None:
    assert "marker is not an absolute path" in execute(path=path, content="x = 1\n", pending="marker")["msg"]
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ("0644", 0o644),
        ("644", 0o644),
        ("0o644", 0o644),
        (0o644, 0o644),  # what YAML makes of 0644 without quotes
        (0, 0),
    ],
)
def test_modes(execute: Execute, path: str, given: Any, mode: int) -> None:
    assert execute(path=path, content="x = 1\n", mode=given)["mode"] == f"{mode:04o}"
    assert os.stat(path).st_mode & 0o7777 == mode


@pytest.mark.parametrize("given", [644, -1, "888", "u=rw", "1777", "", "6_4", " 644", True, 6.4, ["0644"]])
def test_impossible_modes(execute: Execute, path: str, given: Any) -> None:
    message = execute(path=path, content="x = 1\n", mode=given)["msg"]
    assert f"mode {given!r} is not a permission from '0000' to '0777'" in message
    assert not os.path.exists(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_the_system_id_is_for_whoever_the_file_is_for(execute: Execute, path: str) -> None:
    """A GitLab Runner that is not root reads both through their group."""
    Path(path).parent.mkdir(parents=True)
    Path(path).write_text("x = 1\n")
    os.chown(path, 0, 2345)
    os.chmod(path, 0o640)
    execute(path=path, content="x = 2\n", mode="0640", system_id=ID)
    for each in (Path(path), Path(path).parent / ".runner_system_id"):
        assert (each.stat().st_gid, each.stat().st_mode & 0o7777) == (2345, 0o640), each.name
