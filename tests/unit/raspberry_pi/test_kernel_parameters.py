# SPDX-License-Identifier: GPL-3.0-or-later
"""kernel_parameters, on files of its own, and what a power cut leaves of cmdline.txt."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.pifleet.ci.plugins.module_utils import _boot_file as boot_file
from ansible_collections.pifleet.ci.plugins.modules import kernel_parameters
from card_image import TRIXIE

MEMORY = ["cgroup_enable=memory", "cgroup_memory=1"]
LINE = TRIXIE["cmdline.txt"]
Execute = Callable[..., dict[str, Any]]


@pytest.fixture
def cmdline(tmp_path: Path) -> Path:
    path = tmp_path / "cmdline.txt"
    path.write_text(LINE)
    return path


@pytest.fixture
def execute(cmdline: Path, capsys: pytest.CaptureFixture[str]) -> Execute:
    """Run the module as Ansible does; the reply of one that fails has `failed`."""

    def run(**arguments: Any) -> dict[str, Any]:
        given = {"path": str(cmdline), "parameters": MEMORY, **arguments}
        with patch_module_args(given), pytest.raises(SystemExit):
            kernel_parameters.main()
        reply: dict[str, Any] = json.loads(capsys.readouterr().out)
        return reply

    return run


def backup_of(cmdline: Path) -> Path:
    return cmdline.with_name("cmdline.txt.pifleet-ci")


def test_check_do_again_and_take_back(cmdline: Path, execute: Execute) -> None:
    wanted = LINE.replace("\n", " cgroup_enable=memory cgroup_memory=1\n")
    before = os.stat(cmdline).st_ino
    checked = execute(_ansible_check_mode=True)
    assert (checked["changed"], checked["diff"]["after"], cmdline.read_text()) == (True, wanted, LINE)
    assert not backup_of(cmdline).exists()

    assert execute()["changed"] is True
    assert (cmdline.read_text(), backup_of(cmdline).read_text()) == (wanted, LINE)
    assert os.stat(cmdline).st_ino == before, "overwritten in place"
    assert execute()["changed"] is False

    assert execute(state="absent", _ansible_check_mode=True)["changed"] is True
    assert execute(state="absent")["changed"] is True
    assert (cmdline.read_text(), sorted(cmdline.parent.iterdir())) == (LINE, [cmdline])
    assert execute(state="absent")["changed"] is False


def test_the_backup_is_from_before_the_first_change(cmdline: Path, execute: Execute) -> None:
    execute(parameters=MEMORY[:1])
    execute()
    assert backup_of(cmdline).read_text() == LINE


def test_what_others_have_put_there_stays(cmdline: Path, execute: Execute) -> None:
    cmdline.write_text("cgroup_memory=1 " + LINE)
    assert execute(state="absent")["changed"] is False
    execute()
    cmdline.write_text(cmdline.read_text().replace("rootwait", "rootwait quiet"))
    execute(state="absent")
    assert cmdline.read_text() == "cgroup_memory=1 " + LINE.replace("rootwait", "rootwait quiet")


def test_bytes_that_are_no_text_stay(cmdline: Path, execute: Execute) -> None:
    cmdline.write_bytes(b"console=tty1 x=\xff\n")
    assert execute()["changed"] is True
    assert cmdline.read_bytes() == b"console=tty1 x=\xff cgroup_enable=memory cgroup_memory=1\n"


@pytest.mark.parametrize(
    ("content", "arguments", "sentence"),
    [
        ("a\nb\n", {}, "cmdline.txt is not one line, which a Pi does not boot with: repair it by hand."),
        (None, {}, "cmdline.txt does not exist: is the boot partition mounted?"),
        (LINE, {"parameters": ["a b"]}, "A kernel parameter is one word, without spaces, unlike 'a b'."),
    ],
)
def test_what_is_refused_is_one_sentence(
    cmdline: Path, execute: Execute, content: str | None, arguments: dict[str, Any], sentence: str
) -> None:
    cmdline.unlink() if content is None else cmdline.write_text(content)
    reply = execute(**arguments)
    assert reply["failed"] is True
    assert reply["msg"].endswith(sentence)
    assert not backup_of(cmdline).exists()


class PowerCut(Exception):
    pass


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_power_cut_leaves_a_line_to_boot_with(
    cmdline: Path, execute: Execute, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """At every step: the words of the line before or after, and a backup that is whole or not there."""
    if state == "absent":
        execute()
    before = cmdline.read_text()
    kept = backup_of(cmdline).read_bytes() if state == "absent" else None
    for last in range(1, 30):
        cmdline.write_text(before)
        backup_of(cmdline).unlink(missing_ok=True)
        if kept is not None:
            backup_of(cmdline).write_bytes(kept)
        step = 0

        def counted(call: Callable[..., Any], last: int = last) -> Callable[..., Any]:
            def run(*arguments: Any) -> Any:
                nonlocal step
                step += 1
                if step == last:
                    raise PowerCut
                return call(*arguments)

            return run

        with monkeypatch.context() as patched:
            for name in ("write", "fsync", "ftruncate", "rename", "unlink"):
                patched.setattr(boot_file.os, name, counted(getattr(os, name)))
            try:
                kernel_parameters.configure(str(cmdline), MEMORY, state, check=False)
            except PowerCut:
                pass
            else:
                break
        assert len(cmdline.read_text().rstrip().splitlines()) == 1
        assert cmdline.read_text().split() in (LINE.split(), [*LINE.split(), *MEMORY])
        if backup_of(cmdline).exists():
            assert backup_of(cmdline).read_text() == LINE
        elif state == "present":
            assert cmdline.read_text() == LINE, "nothing is written before there is a backup"
        execute(state=state)
        assert cmdline.read_text().split() == (LINE.split() if state == "absent" else [*LINE.split(), *MEMORY])
    else:
        raise AssertionError("never came to an end")
    assert last > 4
