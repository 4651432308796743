# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, replace or remove a small text file, so that neither a crash nor a power cut loses it.

Runs on the host itself: standard library only, Python 3.9 and later, no Ansible.

The order of a replacement is the point of this file: the new content is complete and on the disk (fsync) under a
temporary name in the same directory before rename(2) gives it the real name, and the directory is on the disk
(fsync) before anybody is told. Whatever happens in between, the name leads to the old content or to the new one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

BACKUP = ".backup-"
LOCK_PATIENCE = 15.0  # seconds to wait for another writer
KEPT_ATTRIBUTES = ("security.selinux", "system.posix_acl_access")  # the context of SELinux, and who else may read
SAVE_PATIENCE = 1.0  # seconds to wait for one that empties the file before it fills it
REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "the operation is not permitted",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.ENOTDIR: "a file stands where a directory is needed",
}


class FileError(Exception):
    """One sentence for the user; the file is as it was."""


class FileConflict(FileError):
    """The file is not the one that the caller has seen."""


@dataclass(frozen=True)
class FileSnapshot:
    """A file as it was found; ``content`` is None when there is none."""

    path: str  # after symbolic links
    content: bytes | None
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    links: int = 1  # names that it has, see link(2)

    @property
    def sha256(self) -> str | None:
        return None if self.content is None else hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Replacement:
    """What a replacement did, or in check mode would do. made_directories: outermost first."""

    before: FileSnapshot
    changed: bool
    backup: str | None = None
    made_directories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Removal:
    """What a removal did, or in check mode would do. removed: all paths that went."""

    before: FileSnapshot
    removed: tuple[str, ...] = ()


def read(path: str, follow: bool = True) -> FileSnapshot:
    """Read ``path``. With ``follow`` a symbolic link leads to its target, without it a link is refused.

    Raises FileError for anything that is neither a regular file nor absent.
    """
    with one_sentence(path, "read"):
        real = _resolve(path, follow)
        try:
            # O_NONBLOCK: a FIFO under this name must not hang the play
            descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return FileSnapshot(real, None)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                what = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
                raise FileError(f"{path} is {what}.")
            mode = stat.S_IMODE(status.st_mode)
            return FileSnapshot(
                real, file.read(), mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_nlink
            )


def read_filled(path: str, follow: bool = True) -> FileSnapshot:
    """As read(), but an empty file is not believed at once: gitlab-runner saves in place, truncates and then writes."""
    deadline = time.monotonic() + SAVE_PATIENCE
    while True:
        seen = read(path, follow)
        if seen.content != b"" or time.monotonic() > deadline:
            return seen
        time.sleep(0.02)


def replace(
    path: str,
    content: bytes,
    *,
    expected_sha256: str | None = None,
    mode: int = 0o600,
    uid: int | None = None,
    gid: int | None = None,
    backup: int = 0,
    pending: str | None = None,
    follow: bool = True,
    check: bool = False,
) -> Replacement:
    """Put ``content`` at ``path``.

    expected_sha256: refuse unless the present content has this digest ("absent": unless there is no file);
        None replaces whatever is there.
    uid, gid: None keeps the present owner. backup: how many backups to keep beside the file.
    pending: an empty file that is there before another content is, for whoever has to act on that and may die first.
    check: only say what would be done.

    A missing parent directory is made with mode 0700. A file with several names is refused, for rename(2) gives the new
    content to one of them only. Raises FileError or FileConflict; the old file is then intact,
    and where there was no directory there is none.
    """
    with one_sentence(path, "written"):
        real = _resolve(path, follow)
        directory = os.path.dirname(real)
        if check:
            return _plan(read(path, follow), path, content, expected_sha256, mode, uid, gid)
        with _made(directory) as made, _locked(directory, path):
            seen = read(path, follow)
            plan = _plan(seen, path, content, expected_sha256, mode, uid, gid)
            if not plan.changed:
                return plan
            _unlink(_left_overs(real))
            other = seen.content != content
            with _marked(pending if other else None):
                kept = _keep(seen, backup) if backup > 0 and seen.content is not None and other else None
                _write(seen, content, mode, uid, gid)
            return Replacement(seen, True, kept, tuple(made))


def remove(
    path: str,
    *,
    expected_sha256: str | None = None,
    beside: Mapping[str, bytes] | None = None,
    follow: bool = True,
    check: bool = False,
) -> Removal:
    """Remove ``path``, and what killed writers left of it; a file that is gone is no error. Former contents stay.

    expected_sha256: refuse unless a file that is there has this digest; None removes whatever is there.
    beside: files that go with it, each only if it holds exactly these bytes.

    A symbolic link stays, the file that it leads to goes. Raises FileError or FileConflict; nothing is removed then.
    """
    with one_sentence(path, "removed"):
        real = _resolve(path, follow)
        directory = os.path.dirname(real)
        if not os.path.isdir(directory):
            return Removal(FileSnapshot(real, None))
        with _locked(directory, path):
            seen = read(path, follow)
            if seen.content is not None and expected_sha256 not in (None, seen.sha256):
                raise FileConflict(f"{path} was changed by somebody else since it was read; nothing was removed.")
            outdated = _left_overs(real)
            outdated += [other for other, content in (beside or {}).items() if read(other).content == content]
            outdated += [real] if seen.content is not None else []
            if not check:
                _unlink(outdated)
                for changed in {os.path.dirname(each) for each in outdated}:
                    sync_directory(changed)
            return Removal(seen, tuple(outdated))


def remove_empty(directories: Sequence[str], gone: Sequence[str] = (), check: bool = False) -> list[str]:
    """Remove those of ``directories`` that are empty, the innermost first, and return them.

    gone: paths that count as removed already, for check mode has left them. A symbolic link and a mount point stay.
    Raises FileError.
    """
    removed: list[str] = []
    for directory in sorted(directories, key=len, reverse=True):
        with one_sentence(directory, "removed"):
            if os.path.islink(directory) or not os.path.isdir(directory):
                continue
            held = {os.path.join(directory, entry) for entry in os.listdir(directory)}
            if held - {*gone, *removed}:
                continue
            if not check and not _remove_directory(directory):
                continue
            removed.append(directory)
    return removed


def private(mode: int) -> int:
    """``mode`` without what lets others at a secret: its group may go on reading, nobody else."""
    return 0o600 | (mode & 0o040)


def backups(path: str) -> list[str]:
    """Paths of the backups of ``path`` (resolved), newest first. A number of more digits is a date of somebody else."""
    directory, name = os.path.split(path)
    pattern = re.compile(re.escape(name + BACKUP) + r"([1-9]\d{0,5})")
    try:
        found = [(int(match[1]), entry) for entry in os.listdir(directory) if (match := pattern.fullmatch(entry))]
    except OSError:
        return []
    return [os.path.join(directory, entry) for _number, entry in sorted(found, reverse=True)]


def _plan(
    seen: FileSnapshot,
    path: str,
    content: bytes,
    expected: str | None,
    mode: int,
    uid: int | None,
    gid: int | None,
) -> Replacement:
    if expected is not None and (seen.sha256 or "absent") != expected:
        raise FileConflict(f"{path} was changed by somebody else since it was read; nothing was written.")
    same = seen.content == content and seen.mode == mode and uid in (None, seen.uid) and gid in (None, seen.gid)
    if not same and seen.links > 1:
        raise FileError(
            f"{path} has {seen.links} names (hard links), which a replacement would part; nothing was written: remove "
            f"the others, or make them symbolic links; see `find / -xdev -samefile {seen.path}`."
        )
    return Replacement(seen, not same)


def _resolve(path: str, follow: bool) -> str:
    if not os.path.isabs(path):
        raise FileError(f"{path} is not an absolute path.")
    if not follow and os.path.islink(path):
        raise FileError(f"{path} is a symbolic link, which is refused here.")
    real = os.path.realpath(path)
    if os.path.islink(real):  # realpath gives up on a circle and leaves the link
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return real


@contextmanager
def _made(directory: str) -> Iterator[list[str]]:
    """Make ``directory`` and its missing parents, each durable; a failure takes back those that are still empty."""
    missing, made = [], []
    while not os.path.lexists(directory):
        missing.append(directory)
        directory = os.path.dirname(directory)
    try:
        for each in reversed(missing):
            try:
                os.mkdir(each, 0o700)
            except FileExistsError:  # another writer made it just now
                continue
            made.append(each)
            sync_directory(os.path.dirname(each))
        yield made
    except BaseException:
        with suppress(FileError):  # the failure that led here is the one to report
            remove_empty(made)
        raise


def _remove_directory(directory: str) -> bool:
    """Remove an empty directory, durably; False if it cannot go because something is or was just put into it."""
    try:
        os.rmdir(directory)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            return False
        raise
    sync_directory(os.path.dirname(directory))
    return True


@contextmanager
def _locked(directory: str, path: str) -> Iterator[None]:
    """Hold the writers' lock: flock(2) on the directory itself, so that no lock file is left behind."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise FileError(f"{path} is locked by another writer for {LOCK_PATIENCE:.0f} s.") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)  # releases the lock


@contextmanager
def _marked(pending: str | None) -> Iterator[None]:
    """Have the empty file ``pending`` on the disk; a failure takes it back if it was not there before."""
    made = False
    if pending is not None:
        with one_sentence(pending, "written"):
            made = _mark(pending)
    try:
        yield
    except BaseException:
        if made and pending is not None:
            os.unlink(pending)
        raise


def _mark(pending: str) -> bool:
    if not os.path.isabs(pending):
        raise FileError(f"{pending} is not an absolute path.")
    try:
        descriptor = os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(os.path.dirname(pending))
    return True


def _temporary_prefix(real: str) -> str:
    return f".{os.path.basename(real)}.pifleet-"


def _left_overs(real: str) -> list[str]:
    """What writers that were killed left behind; under the lock nobody else has one open."""
    directory, prefix = os.path.dirname(real), _temporary_prefix(real)
    return [os.path.join(directory, entry) for entry in os.listdir(directory) if entry.startswith(prefix)]


def _unlink(paths: Sequence[str]) -> None:
    for path in paths:
        os.unlink(path)


def _write(seen: FileSnapshot, content: bytes, mode: int, uid: int | None, gid: int | None) -> None:
    """Write, flush, compare once more, rename, flush the directory."""
    directory = os.path.dirname(seen.path)
    temporary = _write_temporary(seen, content, mode, uid, gid)
    try:
        # gitlab-runner saves the file without asking for a lock (token rotation): look again, as late as possible
        if read(seen.path).content != seen.content:
            raise FileConflict(f"{seen.path} was changed by somebody else just now; nothing was written.")
        os.rename(temporary, seen.path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(directory)


def _write_temporary(seen: FileSnapshot, content: bytes, mode: int, uid: int | None, gid: int | None) -> str:
    descriptor, temporary = tempfile.mkstemp(prefix=_temporary_prefix(seen.path), dir=os.path.dirname(seen.path))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            present = os.fstat(descriptor)
            owner = seen.uid if seen.content is not None else present.st_uid
            group = seen.gid if seen.content is not None else present.st_gid
            wanted = (owner if uid is None else uid, group if gid is None else gid)
            if wanted != (present.st_uid, present.st_gid):
                os.fchown(descriptor, *wanted)
            _keep_attributes(descriptor, seen)
            os.fchmod(descriptor, mode)  # after the access control list, whose mask it sets
            _advance(descriptor, seen)
            os.fsync(descriptor)
            return temporary
    except BaseException:
        os.unlink(temporary)
        raise


def _keep_attributes(descriptor: int, seen: FileSnapshot) -> None:
    """Give a new file what the old one lets others do that is not in its mode."""
    if seen.content is None:
        return
    for name in KEPT_ATTRIBUTES:
        wanted = _attribute(seen.path, name)
        if wanted not in (None, _attribute(descriptor, name)):
            os.setxattr(descriptor, name, wanted)


def _attribute(file: str | int, name: str) -> bytes | None:
    try:
        return os.getxattr(file, name)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP, errno.ENOENT):  # one that is gone is a conflict further on
            return None
        raise


def _advance(descriptor: int, seen: FileSnapshot) -> None:
    """Date the new file later than the old one: gitlab-runner reads no other again, and a Pi's clock may be behind.

    By a whole second, for what gitlab-runner has saved itself it remembers as a little later than the file says.
    """
    if os.fstat(descriptor).st_mtime_ns <= seen.mtime_ns:
        later = seen.mtime_ns + 1_000_000_000
        os.utime(descriptor, ns=(later, later))


def _keep(seen: FileSnapshot, count: int) -> str:
    """Keep ``seen`` as the newest backup, mode 0600, and drop the oldest beyond ``count``.

    Numbered, not dated: a Pi has no clock of its own, and dates that go back would make the wrong one the newest.
    """
    present = backups(seen.path)
    number = int(present[0].rsplit("-", 1)[1]) + 1 if present else 1
    name = f"{seen.path}{BACKUP}{number}"
    temporary = _write_temporary(seen, seen.content or b"", 0o600, None, None)
    os.rename(temporary, name)
    for outdated in present[count - 1 :]:
        os.unlink(outdated)
    return name


def sync_directory(directory: str) -> None:
    """Have what was created, renamed or removed in it survive a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def one_sentence(path: str, verb: str) -> Iterator[None]:
    """Raise FileError for an OSError: what (`written`, `removed`) was not done with the path, and why."""
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0) or (error.strerror or str(error)).lower()
        raise FileError(f"{path} could not be {verb}: {reason}.") from error
