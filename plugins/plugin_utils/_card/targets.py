# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot partition as a few small files: a mounted one, or one inside an image or a card, which mtools gets at.

mtools needs neither root nor a mount: https://www.gnu.org/software/mtools/manual/mtools.html
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ansible_collections.pifleet.ci.plugins.plugin_utils._card.partition import SECTOR, PartitionError, boot_partition

MTOOLS = ("mdir", "mtype", "mcopy", "mdel")
MODE = 0o644
PRIVATE_MODE = 0o600


class TargetError(Exception):
    """The end of a sentence that begins with the name of the target; the file in question is as it was."""


class Target(Protocol):
    """is_device: whether it is a card itself, not a directory or an image."""

    is_device: bool

    def read(self, names: Iterable[str]) -> dict[str, str | None]:
        """The files as text, what is no UTF-8 as surrogates; None for one that is not there. Raises TargetError."""

    def write(self, name: str, text: str, *, private: bool) -> None:
        """Create or replace a file, which is on the disk then. Raises TargetError."""


def target_at(path: str) -> Target:
    """What stands at that path. Raises TargetError."""
    try:
        kind = os.stat(path).st_mode
    except OSError as error:
        raise TargetError(f"cannot be looked at: {error.strerror}.") from None
    if stat.S_ISDIR(kind):
        return Directory(Path(path))
    if stat.S_ISREG(kind) or stat.S_ISBLK(kind):
        return FatPartition(path, is_device=stat.S_ISBLK(kind))
    raise TargetError("is neither a directory, an image nor a block device.")


class Directory:
    """A mounted boot partition."""

    is_device = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, names: Iterable[str]) -> dict[str, str | None]:
        return {name: self._read(name) for name in names}

    def _read(self, name: str) -> str | None:
        try:
            return _text((self._path / name).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TargetError(f"has a {name} that cannot be read: {error.strerror}.") from None

    def write(self, name: str, text: str, *, private: bool) -> None:
        """By way of a temporary file, so that a crash leaves the former content or the new one."""
        try:
            descriptor, temporary = tempfile.mkstemp(dir=self._path, prefix=f"{name}.")
        except OSError as error:
            raise TargetError(f"cannot be written to: {error.strerror}.") from None
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_bytes(text))
                with suppress(PermissionError):  # FAT has no modes, and refuses some
                    os.fchmod(descriptor, PRIVATE_MODE if private else self._mode(name))
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, self._path / name)
            _sync(str(self._path))
        except OSError as error:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise TargetError(f"cannot be written to: {error.strerror}.") from None

    def _mode(self, name: str) -> int:
        try:
            return stat.S_IMODE((self._path / name).stat().st_mode)
        except FileNotFoundError:
            return MODE


class FatPartition:
    """The boot partition inside an image, or a card that is not mounted."""

    def __init__(self, path: str, *, is_device: bool) -> None:
        missing = [program for program in MTOOLS if not shutil.which(program)]
        if missing:
            raise TargetError(
                "cannot be opened without mtools: install the package mtools on the control node, or mount the boot "
                "partition and name its directory."
            )
        self.is_device = is_device
        self._path = path
        try:
            with open(path, "rb") as card:
                sector = card.read(SECTOR)
                size = card.seek(0, os.SEEK_END)
            self._drive = f"{path}@@{boot_partition(sector, size).offset}"
        except OSError as error:
            raise TargetError(f"cannot be read: {error.strerror}.{_HINT if is_device else ''}") from None
        except PartitionError as error:
            raise TargetError(str(error)) from None

    def read(self, names: Iterable[str]) -> dict[str, str | None]:
        listed = self._run("mdir", "-b", "::/", verb="read").decode(errors="replace")
        present = {line.rpartition("/")[2].lower() for line in listed.splitlines()}
        return {
            name: _text(self._run("mtype", f"::/{name}", verb="read")) if name in present else None for name in names
        }

    def write(self, name: str, text: str, *, private: bool) -> None:
        del private  # FAT has no modes
        if not os.access(self._path, os.W_OK):
            raise TargetError(f"cannot be written to: permission denied.{_HINT if self.is_device else ''}")
        former = self.read([name])[name]
        self._replace(name, text)
        # mcopy calls a file that it had no room for a success.
        if self.read([name])[name] != text:
            self._replace(name, former)
            raise TargetError(f"has no room for {name} in its boot partition: remove what is not needed there.")

    def _replace(self, name: str, text: str | None) -> None:
        if text is None:
            self._run("mdel", f"::/{name}", verb="written to")
        else:  # by the standard input: the text is in no argument and no temporary file
            self._run("mcopy", "-o", "-", f"::/{name}", verb="written to", text=text)
        _sync(self._path)

    def _run(self, program: str, *arguments: str, verb: str, text: str = "") -> bytes:
        done = subprocess.run(
            [program, "-i", self._drive, *arguments],
            input=_bytes(text),
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", "MTOOLSRC": os.devnull, "MTOOLS_SKIP_CHECK": "1"},
        )
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip().splitlines() or [f"{program} failed"]
            raise TargetError(f"has a boot partition that cannot be {verb}: {reason[0]}.")
        return done.stdout


_HINT = " Run the playbook as a user who may write to the card, for instance root or a member of the group disk."


def _text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
