# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory and an image take files and lose nothing else. The image is a real one, with mtools."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.targets import Target, TargetError, target_at
from card_image import BOOT_SIZE, OFFSET, TRIXIE, make_image, read_image

NAMES = [*TRIXIE, "custom.toml"]


IMAGE = pytest.mark.slow  # these need mtools, which scripts/setup_lab.sh installs


@pytest.fixture(params=["directory", pytest.param("image", marks=IMAGE)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    if request.param == "image":
        return target_at(str(make_image(tmp_path / "card.img", TRIXIE)))
    for name, text in TRIXIE.items():
        (tmp_path / name).write_text(text)
    return target_at(str(tmp_path))


def test_files_are_read(target: Target) -> None:
    assert target.read(NAMES) == {**TRIXIE, "custom.toml": None}
    assert not target.is_device


def test_files_are_replaced_and_made(target: Target) -> None:
    target.write("user-data", "#cloud-config\nü: 1\n", private=True)
    target.write("custom.toml", "", private=True)
    assert target.read(NAMES) == {**TRIXIE, "user-data": "#cloud-config\nü: 1\n", "custom.toml": ""}


def test_bytes_that_are_no_utf_8_survive(tmp_path: Path) -> None:
    (tmp_path / "cmdline.txt").write_bytes(b"a=\xff\n")
    target = target_at(str(tmp_path))
    text = target.read(["cmdline.txt"])["cmdline.txt"]
    assert text is not None
    target.write("cmdline.txt", text.replace("a=", "b="), private=False)
    assert (tmp_path / "cmdline.txt").read_bytes() == b"b=\xff\n"


@IMAGE
def test_nothing_else_of_the_image_changes(tmp_path: Path) -> None:
    path = make_image(tmp_path / "card.img", TRIXIE)
    before = path.read_bytes()
    target_at(str(path)).write("user-data", "x" * 5000, private=True)
    after = path.read_bytes()
    assert len(after) == len(before)
    assert after[:OFFSET] == before[:OFFSET]
    assert after[OFFSET + BOOT_SIZE :] == before[OFFSET + BOOT_SIZE :]
    assert read_image(path) == {**TRIXIE, "user-data": "x" * 5000}


def test_modes_where_there_are_some(tmp_path: Path) -> None:
    (tmp_path / "cmdline.txt").write_text("a\n")
    (tmp_path / "cmdline.txt").chmod(0o755)
    target = target_at(str(tmp_path))
    target.write("user-data", "secret", private=True)
    target.write("cmdline.txt", "a b\n", private=False)
    assert stat.S_IMODE((tmp_path / "user-data").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "cmdline.txt").stat().st_mode) == 0o755
    assert sorted(os.listdir(tmp_path)) == ["cmdline.txt", "user-data"]


@IMAGE
def test_a_full_partition_keeps_what_it_has(tmp_path: Path) -> None:
    files = {"filler": "x" * (BOOT_SIZE - 1024 * 1024), "user-data": "former"}
    target = target_at(str(make_image(tmp_path / "card.img", files)))
    for name in ("user-data", "custom.toml"):
        with pytest.raises(TargetError, match=f"has no room for {name} in its boot partition"):
            target.write(name, "x" * 2 * 1024 * 1024, private=True)
    assert target.read(NAMES) == {**dict.fromkeys(NAMES), "user-data": "former"}


def test_what_is_no_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetError, match="cannot be looked at: No such file"):
        target_at(str(tmp_path / "absent"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TargetError, match="is neither a directory, an image nor a block device"):
        target_at(str(tmp_path / "pipe"))
    (tmp_path / "empty.img").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="install the package mtools"):
        target_at(str(tmp_path / "empty.img"))


@IMAGE
def test_a_file_that_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "empty.img").touch()
    with pytest.raises(TargetError, match="has no partition table"):
        target_at(str(tmp_path / "empty.img"))


@IMAGE
def test_a_partition_that_is_no_fat(tmp_path: Path) -> None:
    path = make_image(tmp_path / "card.img", {})
    with path.open("r+b") as image:
        image.seek(OFFSET)
        image.write(bytes(4096))
    with pytest.raises(TargetError, match="has a boot partition that cannot be read"):
        target_at(str(path)).read(NAMES)
