# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The context of a Docker image as one archive, which is the same as long as the files are."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: build_context
short_description: Return the context of a Docker image as one archive, and its digest
version_added: 1.0.0
description:
  - Reads a directory on the control node, without what its C(.dockerignore) leaves out.
  - The digest depends on names, contents, modes and targets of symbolic links, and not on times, owners or the place of
    the directory. That group and others may write counts for nothing, because it depends on the umask of a checkout.
options:
  _input:
    description: The directory.
    type: path
    required: true
  dockerfile:
    description: Path of the Dockerfile in the directory, which C(.dockerignore) cannot leave out.
    type: str
    default: Dockerfile
positional: dockerfile
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Show what changes whenever the context does
  ansible.builtin.debug:
    msg: "{{ ('files/tools' | pifleet.ci.build_context).digest }}"
"""

RETURN = r"""
_value:
  description: The archive and its digest.
  type: dict
  contains:
    archive:
      description: The files as a tar archive in Base64.
      type: str
    digest:
      description: The SHA-256 of the archive.
      type: str
"""

IGNORE_FILE = ".dockerignore"
# Programs that pack files into zip archives refuse times before 1980.
TIME = 315532800  # 1980-01-01
# Git does not keep these: they are those of the umask with which somebody has checked out.
UMASK = 0o022


@dataclass(frozen=True)
class Rule:
    """A line of `.dockerignore`: what matches is left out, or is not after all."""

    pattern: re.Pattern[str]
    leaves_out: bool


def build_context(directory: str, dockerfile: str = "Dockerfile") -> dict[str, str]:
    """Raises AnsibleFilterError where a file cannot be read, or can be in no image."""
    try:
        archive = _archive(directory, dockerfile)
    except OSError as error:
        raise AnsibleFilterError(f"The context of an image cannot be read: {error}.") from error
    return {"archive": base64.b64encode(archive).decode(), "digest": hashlib.sha256(archive).hexdigest()}


def _archive(directory: str, dockerfile: str) -> bytes:
    rules = _rules(os.path.join(directory, IGNORE_FILE))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in _names(directory):
            if name == IGNORE_FILE or (name != os.path.normpath(dockerfile) and _is_left_out(name, rules)):
                continue
            _add(archive, os.path.join(directory, name), name)
    return content.getvalue()


def _names(directory: str, folder: str = "") -> Iterator[str]:
    """Paths of all that is in the directory, relative to it, in one order on every machine."""
    with os.scandir(os.path.join(directory, folder)) as entries:
        found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_folder in found:
        path = os.path.join(folder, name)
        yield path
        if is_folder:
            yield from _names(directory, path)


def _add(archive: tarfile.TarFile, path: str, name: str) -> None:
    """Raises OSError, and AnsibleFilterError for what is neither file, directory nor symbolic link."""
    found = os.lstat(path)
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = stat.S_IMODE(found.st_mode) & ~UMASK, TIME
    if stat.S_ISDIR(found.st_mode):
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif stat.S_ISLNK(found.st_mode):
        member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, os.readlink(path)
        archive.addfile(member)
    elif stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            content = file.read()
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    else:
        raise AnsibleFilterError(f"{path} is no file that can be in an image: remove it, or name it in {IGNORE_FILE}.")


def _rules(path: str) -> list[Rule]:
    """What a `.dockerignore` says; nothing if there is none. https://docs.docker.com/build/concepts/context/"""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [line.strip() for line in file if not line.startswith("#")]
    except FileNotFoundError:
        return []
    rules = []
    for line in lines:
        leaves_out = not line.startswith("!")
        pattern = line if leaves_out else line[1:].strip()
        name = os.path.normpath(pattern).lstrip("/")
        if pattern and name not in ("", "."):
            rules.append(Rule(_pattern(name), leaves_out))
    return rules


def _pattern(text: str) -> re.Pattern[str]:
    """`*` and `?` match within a name, `**` any number of directories, and a directory all that is in it."""
    expression = ""
    for part in re.findall(r"\*\*/?|\*|\?|\[[^\]/]+\]|\\.|.", text, re.DOTALL):
        if part == "**/":
            expression += "(?:.*/)?"
        elif part == "**":
            expression += ".*"
        elif part == "*":
            expression += "[^/]*"
        elif part == "?":
            expression += "[^/]"
        elif len(part) > 2:
            expression += part.replace("\\", "\\\\")
        else:
            expression += re.escape(part[-1])
    try:
        return re.compile(f"(?:{expression})(?:/.*)?", re.DOTALL)
    except re.error as error:
        raise AnsibleFilterError(f"{text} in {IGNORE_FILE} is no pattern: {error}.") from error


def _is_left_out(name: str, rules: list[Rule]) -> bool:
    """The last rule that matches counts."""
    return next((rule.leaves_out for rule in reversed(rules) if rule.pattern.fullmatch(name)), False)


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"build_context": build_context}
