# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter build_context: what is in the archive, and when its digest is another one."""

from __future__ import annotations

import base64
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.pifleet.ci.plugins.filter.build_context import TIME, build_context

FILES = ("Dockerfile", "a.log", "src/main.c", "src/main.o", "src/sub/deep.o", "doc/read.md")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "context")


def written(folder: Path) -> Path:
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o644)
    for path in (folder / name for name in ("", "src", "src/sub", "doc")):
        path.chmod(0o755)
    return folder


def members(folder: Path, dockerfile: str = "Dockerfile") -> dict[str, tarfile.TarInfo]:
    archive = base64.b64decode(build_context(str(folder), dockerfile)["archive"])
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        return {member.name: member for member in found.getmembers()}


def names(folder: Path, dockerfile: str = "Dockerfile") -> list[str]:
    return sorted(name for name, member in members(folder, dockerfile).items() if not member.isdir())


def test_what_is_in_it(folder: Path) -> None:
    (folder / "src/main.c").chmod(0o750)
    (folder / "link").symlink_to("src/main.c")
    found = members(folder)
    assert names(folder) == sorted([*FILES, "link"])
    assert (found["src/main.c"].mode, found["src"].mode, found["link"].linkname) == (0o750, 0o755, "src/main.c")
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in found.values()} == {(0, 0, "", TIME)}


CHANGES: dict[str, tuple[Callable[[Path], object], bool]] = {
    "nothing": (lambda folder: None, False),
    "a time": (lambda folder: os.utime(folder / "a.log", (1, 1)), False),
    "another umask": (lambda folder: [(folder / "a.log").chmod(0o664), (folder / "src").chmod(0o775)], False),
    "a content": (lambda folder: (folder / "a.log").write_text("other"), True),
    "a mode": (lambda folder: (folder / "a.log").chmod(0o600), True),
    "a mode of a directory": (lambda folder: (folder / "src").chmod(0o700), True),
    "a name": (lambda folder: (folder / "a.log").rename(folder / "b.log"), True),
    "another file": (lambda folder: (folder / "new").touch(), True),
    "a symbolic link": (lambda folder: (folder / "link").symlink_to("a.log"), True),
    "an empty directory": (lambda folder: (folder / "empty").mkdir(), True),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_when_the_digest_is_another(folder: Path, tmp_path: Path, change: str) -> None:
    """Also of a copy in another place."""
    do, expected = CHANGES[change]
    copy = written(tmp_path / "elsewhere")
    do(copy)
    assert (build_context(str(copy))["digest"] != build_context(str(folder))["digest"]) is expected


IGNORED: dict[str, tuple[str, set[str]]] = {
    "nothing": ("# a.log\n\n  \n", set()),
    "a name": ("a.log", {"a.log"}),
    "with a slash": ("/src/main.c\n./a.log\n", {"src/main.c", "a.log"}),
    "a directory": ("src", {"src/main.c", "src/main.o", "src/sub/deep.o"}),
    "not below": ("main.c\n*.o", set()),
    "one level": ("*/*.o", {"src/main.o"}),
    "any level": ("**/*.o", {"src/main.o", "src/sub/deep.o"}),
    "all below": ("src/**", {"src/main.c", "src/main.o", "src/sub/deep.o"}),
    "a letter": ("src/main.?", {"src/main.c", "src/main.o"}),
    "letters": ("src/main.[a-n]", {"src/main.c"}),
    "other characters": ("a(.log\na.lo+", set()),
    "a dot is a dot": ("a?log\nsrc.main.c", {"a.log"}),
    "an exception": ("src\n!src/main.c", {"src/main.o", "src/sub/deep.o"}),
    "the last one counts": ("!a.log\n*.log", {"a.log"}),
    "all but one": ("*\n!doc", set(FILES) - {"doc/read.md", "Dockerfile"}),
}


@pytest.mark.parametrize("case", IGNORED)
def test_dockerignore(folder: Path, case: str) -> None:
    text, left_out = IGNORED[case]
    (folder / ".dockerignore").write_text(text)
    assert names(folder) == sorted(set(FILES) - left_out)


def test_what_is_left_out_does_not_count(folder: Path) -> None:
    (folder / ".dockerignore").write_text("*.log\n")
    before = build_context(str(folder))["digest"]
    (folder / "a.log").write_text("other")
    assert build_context(str(folder))["digest"] == before


def test_the_dockerfile_is_never_left_out(folder: Path) -> None:
    (folder / ".dockerignore").write_text("**")
    assert names(folder) == ["Dockerfile"]
    assert names(folder, "./src/main.c") == ["src/main.c"]


def test_what_cannot_be_in_an_image_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(
        AnsibleFilterError, match=r"context/pipe is no file that can be in an image: remove it, or name"
    ):
        build_context(str(folder))
    (folder / ".dockerignore").write_text("pipe")
    assert "pipe" not in members(folder)


def test_no_pattern(folder: Path) -> None:
    (folder / ".dockerignore").write_text("a[z-a]")
    with pytest.raises(AnsibleFilterError, match=r"a\[z-a\] in .dockerignore is no pattern"):
        build_context(str(folder))


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(AnsibleFilterError, match=r"The context of an image cannot be read: .*nowhere"):
        build_context(str(tmp_path / "nowhere"))
