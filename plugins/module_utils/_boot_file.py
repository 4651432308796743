# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a text file on the boot partition of a Pi, so that a power cut leaves a file that the Pi boots with.

Runs on the host itself: standard library only, Python 3.9 and later, no Ansible.

That partition has a FAT file system, on which a rename over another file is not safe: after a power cut there may be
neither of them, and without cmdline.txt a Pi does not boot. https://github.com/balena-os/meta-balena/issues/1983
So the file is overwritten where it is. Its clusters and its entry in the directory stay, and the content is one sector
of the card, which is the old one or the new one.
"""

from __future__ import annotations

import os

from ansible_collections.pifleet.ci.plugins.module_utils import _atomic_file as atomic_file

BACKUP = ".pifleet-ci"


def overwrite(path: str, content: bytes) -> None:
    """Give an existing file this content, after it has a backup. Raises FileError."""
    keep(path)
    with atomic_file.one_sentence(path, "written"):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            # A longer former content is blanked before it is cut off: none of its words stays behind the new ones.
            os.write(descriptor, content.ljust(os.fstat(descriptor).st_size))
            os.fsync(descriptor)
            os.ftruncate(descriptor, len(content))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def keep(path: str) -> None:
    """Keep what the file has as its backup, unless there is one, from before the first change. Raises FileError."""
    backup = path + BACKUP
    content = atomic_file.read(path).content
    if content is None or os.path.exists(backup):
        return
    with atomic_file.one_sentence(backup, "written"):
        unfinished = backup + ".new"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(unfinished, backup)
        atomic_file.sync_directory(os.path.dirname(backup))


def forget(path: str) -> None:
    """Remove the backup of the file; one that is gone is no error. Raises FileError."""
    with atomic_file.one_sentence(path + BACKUP, "removed"):
        try:
            os.unlink(path + BACKUP)
        except FileNotFoundError:
            return
        atomic_file.sync_directory(os.path.dirname(path))
