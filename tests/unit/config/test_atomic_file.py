# SPDX-License-Identifier: GPL-3.0-or-later
"""A replacement is complete or has not happened."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.module_utils import _atomic_file as atomic_file
from sizes import KILLS

WORKER = Path(__file__).with_name("atomic_file_worker.py")
PYTHONS = [f"3.{minor}" for minor in range(9, 15)] + ["armhf"]
ARMHF = Path(__file__).resolve().parents[3] / ".cache" / "armhf" / "usr" / "local" / "bin" / "python"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def work(*arguments: object, python: str = sys.executable) -> Any:
    done = subprocess.run(
        [python, str(WORKER), *map(str, arguments)], check=True, capture_output=True, text=True, timeout=120
    )
    return json.loads(done.stdout) if done.stdout else None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_bytes(b"old\n")
    path.chmod(0o600)
    return path


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_a_new_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "gitlab-runner" / "config.toml"
    assert atomic_file.replace(str(path), b"new\n").changed
    assert path.read_bytes() == b"new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(parent.stat().st_mode) for parent in path.parents[:2]] == [0o700, 0o700]
    assert names(path.parent) == ["config.toml"]


def test_the_same_content_is_not_written_again(file: Path) -> None:
    before = file.stat()
    assert not atomic_file.replace(str(file), b"old\n", backup=3).changed
    assert (file.stat().st_ino, file.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert names(file.parent) == ["config.toml"]


def test_a_readable_file_becomes_private(file: Path) -> None:
    file.chmod(0o644)
    assert atomic_file.replace(str(file), b"old\n", backup=3).changed
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(file.parent) == ["config.toml"], "no backup of the same content"


@needs_root
def test_the_owner_is_kept_or_set(file: Path) -> None:
    os.chown(file, 1234, 2345)
    atomic_file.replace(str(file), b"new\n", backup=1)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 2345)
    backup = Path(atomic_file.backups(str(file))[0])
    assert (backup.stat().st_uid, stat.S_IMODE(backup.stat().st_mode)) == (1234, 0o600)
    assert atomic_file.replace(str(file), b"new\n", uid=0).changed
    assert (file.stat().st_uid, file.stat().st_gid) == (0, 2345)


ACL = "system.posix_acl_access"


def acl_of(file: Path, user: int) -> bytes:
    """An access control list with which a user may read the file besides its owner, in the kernel's form."""
    anybody = 0xFFFFFFFF
    entries = [(0x01, 6, anybody), (0x02, 4, user), (0x04, 0, anybody), (0x10, 4, anybody), (0x20, 0, anybody)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(file, ACL, acl)
    except OSError as error:
        pytest.skip(f"no access control lists here: {error}")
    return acl


def test_the_access_control_list_is_kept(file: Path) -> None:
    """GitLab Runner may be let at its file with one; without it it would not load the file any more."""
    acl = acl_of(file, user=1234)
    mode = stat.S_IMODE(file.stat().st_mode)
    assert mode == 0o640, "its mask shows as the permissions of the group"
    atomic_file.replace(str(file), b"new\n", mode=atomic_file.private(mode), backup=1)
    assert (file.read_bytes(), os.getxattr(file, ACL)) == (b"new\n", acl)
    backup = Path(atomic_file.backups(str(file))[0])
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600, "whose mask lets nobody else in"


def test_an_access_control_list_lets_in_no_more_than_the_mode(file: Path) -> None:
    acl_of(file, user=1234)
    atomic_file.replace(str(file), b"new\n", mode=0o600)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_compare_and_swap(file: Path) -> None:
    seen = atomic_file.read(str(file))
    file.write_bytes(b"theirs\n")
    for expected in (seen.sha256, "absent"):
        with pytest.raises(atomic_file.FileConflict, match="was changed by somebody else since it was read"):
            atomic_file.replace(str(file), b"ours\n", expected_sha256=expected)
    assert file.read_bytes() == b"theirs\n"
    assert names(file.parent) == ["config.toml"]


def test_a_write_at_the_last_moment_is_not_lost(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gitlab-runner rotates a token between our comparison and our rename; it asks for no lock."""
    fsync = os.fsync

    def rotate(descriptor: int) -> None:
        file.write_bytes(b"rotated\n")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", rotate)
    with pytest.raises(atomic_file.FileConflict, match="just now"):
        atomic_file.replace(str(file), b"ours\n")
    assert file.read_bytes() == b"rotated\n"
    assert names(file.parent) == ["config.toml"]


def test_backups_are_bounded_private_and_in_order(file: Path) -> None:
    for content in (b"1", b"2", b"3", b"4"):
        kept = atomic_file.replace(str(file), content, backup=2).backup
        assert kept
    found = atomic_file.backups(str(file))
    assert [Path(path).read_bytes() for path in found] == [b"3", b"2"]
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in found] == [0o600, 0o600]
    assert len(names(file.parent)) == 3


@pytest.mark.parametrize("suffix", ["20260101", "202601011200", "01", "0"])
def test_a_backup_that_somebody_else_made_is_none_of_ours(file: Path, suffix: str) -> None:
    """It is not taken for the newest one, and it does not go when there are too many."""
    theirs = file.with_name(f"config.toml.backup-{suffix}")
    theirs.write_bytes(b"theirs\n")
    for number in range(4):
        atomic_file.replace(str(file), b"%d\n" % number, backup=2)
    assert [Path(path).name for path in atomic_file.backups(str(file))] == [
        "config.toml.backup-4",
        "config.toml.backup-3",
    ]
    assert theirs.read_bytes() == b"theirs\n"


def test_check_mode_writes_nothing(file: Path) -> None:
    missing = file.parent / "not" / "there" / "config.toml"
    assert atomic_file.replace(str(file), b"new\n", check=True, backup=2).changed
    assert not atomic_file.replace(str(file), b"old\n", check=True).changed
    assert atomic_file.replace(str(missing), b"new\n", check=True).changed
    assert (names(file.parent), file.read_bytes()) == (["config.toml"], b"old\n")


def test_a_symbolic_link_stays_or_is_refused(file: Path) -> None:
    link = file.parent / "link.toml"
    link.symlink_to("config.toml")
    assert atomic_file.replace(str(link), b"new\n").changed
    assert (link.is_symlink(), file.read_bytes()) == (True, b"new\n")
    for action in (
        lambda: atomic_file.read(str(link), follow=False),
        lambda: atomic_file.replace(str(link), b"x", follow=False),
    ):
        with pytest.raises(atomic_file.FileError, match="is a symbolic link, which is refused here"):
            action()


def test_a_hard_link_is_not_parted(file: Path) -> None:
    other = file.with_name("other-name")
    other.hardlink_to(file)
    for check in (True, False):
        with pytest.raises(atomic_file.FileError, match=r"config\.toml has 2 names \(hard links\), which .* see "):
            atomic_file.replace(str(file), b"new\n", check=check)
    assert other.samefile(file)
    assert file.read_bytes() == b"old\n"
    assert names(file.parent) == ["config.toml", "other-name"]
    assert not atomic_file.replace(str(file), b"old\n").changed, "nothing has to be written"
    other.unlink()
    assert atomic_file.replace(str(file), b"new\n").changed


def test_what_is_no_file(file: Path) -> None:
    directory = file.parent
    os.mkfifo(directory / "fifo")
    (directory / "dir").mkdir()
    (directory / "loop").symlink_to("loop")
    expected = {
        "fifo": "is not a regular file",
        "dir": "could not be (read|written): is a directory|is a directory",
        "loop": "its symbolic links lead in a circle",
        "config.toml/x": "a file stands where a directory is needed",
    }
    for name, sentence in expected.items():
        for action in (atomic_file.read, lambda path: atomic_file.replace(path, b"x")):
            with pytest.raises(atomic_file.FileError, match=sentence):
                action(str(directory / name))
    with pytest.raises(atomic_file.FileError, match="is not an absolute path"):
        atomic_file.read("config.toml")


def test_left_overs_of_killed_writers_are_swept(file: Path) -> None:
    (file.parent / ".config.toml.pifleet-abc123").write_bytes(b"half")
    atomic_file.replace(str(file), b"new\n")
    assert names(file.parent) == ["config.toml"]


def test_the_modification_time_advances_although_the_clock_is_behind(file: Path) -> None:
    os.utime(file, (4_000_000_000, 4_000_000_000))
    for content in (b"new\n", b"newer\n"):
        before = file.stat().st_mtime_ns
        atomic_file.replace(str(file), content)
        assert file.stat().st_mtime_ns > before


def test_a_clock_that_is_right_dates_the_file(file: Path) -> None:
    started = time.time()
    atomic_file.replace(str(file), b"new\n")
    assert started - 1 < file.stat().st_mtime < started + 60


def test_a_file_that_is_just_being_saved_in_place_is_waited_for(file: Path) -> None:
    file.write_bytes(b"")
    saving = threading.Timer(0.2, file.write_bytes, [b"saved\n"])
    saving.start()
    assert atomic_file.read_filled(str(file)).content == b"saved\n"
    saving.join()


def test_an_empty_file_is_believed_in_the_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic_file, "SAVE_PATIENCE", 0.05)
    file.write_bytes(b"")
    assert atomic_file.read_filled(str(file)).content == b""


def test_another_writer_has_the_lock(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic_file, "LOCK_PATIENCE", 0.05)
    locked, refused = (
        atomic_file._locked(str(file.parent), str(file)),
        pytest.raises(atomic_file.FileError, match="is locked by"),
    )
    with locked, refused:
        atomic_file.replace(str(file), b"new\n")
    assert file.read_bytes() == b"old\n"


def test_two_plays_lose_no_update(file: Path) -> None:
    file.write_bytes(b"0")
    writers = [subprocess.Popen([sys.executable, str(WORKER), "count", str(file), "100"]) for _ in range(4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    assert (file.read_bytes(), names(file.parent)) == (b"400", ["config.toml"])


@pytest.mark.slow
def test_killed_at_random_points(tmp_path: Path) -> None:
    found = work("kill", tmp_path, KILLS)
    assert found["torn"] == 0
    assert found["old"] + found["new"] == KILLS
    assert min(found["old"], found["new"]) > KILLS // 100, "the kills came all too early or all too late"
    assert (found["left over"], found["backups"]) == (0, 2)


# system calls


@pytest.fixture(scope="module")
def strace() -> str:
    program = shutil.which("strace")
    if not program:
        pytest.skip("strace is not installed")
    if subprocess.run([program, "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let processes be traced")
    return program


def trace(strace: str, file: Path, *arguments: str) -> list[str]:
    """The steps that the worker takes in the directory of the file, in plain words."""
    log = file.parent.parent / "trace"
    calls = "openat,flock,write,fchmod,fsync,rename,renameat,renameat2,unlink,unlinkat,rmdir"
    command = [strace, "-y", "-o", str(log), "-e", f"trace={calls}", sys.executable, str(WORKER), *arguments]
    subprocess.run(command, check=True)
    here = str(file.parent)
    return [step for line in log.read_text().splitlines() if here in line and (step := _step(line, here))]


def test_the_order_of_the_system_calls(strace: str, file: Path) -> None:
    assert trace(strace, file, "replace", str(file), "new\n") == [
        "flock directory",
        "create temporary",
        "write temporary",
        "fchmod temporary",
        "fsync temporary",
        "rename temporary config.toml",
        "fsync directory",
    ]


def test_a_marker_is_on_the_disk_before_the_content_changes(strace: str, file: Path) -> None:
    assert trace(strace, file, "replace", str(file), "new\n", str(file.parent / ".restart-pending")) == [
        "flock directory",
        "create .restart-pending",
        "fsync .restart-pending",
        "fsync directory",
        "create temporary",
        "write temporary",
        "fchmod temporary",
        "fsync temporary",
        "rename temporary config.toml",
        "fsync directory",
    ]


@pytest.mark.parametrize("call", ["fsync", "fchmod", "/^rename"])
def test_a_change_without_its_marker_is_never_left(strace: str, file: Path, call: str) -> None:
    """Killed within any system call: the new content is there only if the marker is."""
    marker = file.parent / ".restart-pending"
    for when in (1, 2, 3, 4):
        file.write_bytes(b"old\n")
        marker.unlink(missing_ok=True)
        inject = f"inject={call}:signal=KILL:when={when}"
        command = [strace, "-o", "/dev/null", "-e", inject, sys.executable, str(WORKER)]
        subprocess.run([*command, "replace", str(file), "new\n", str(marker)], capture_output=True, check=False)
        assert marker.exists() or file.read_bytes() == b"old\n", when


def test_the_order_of_a_removal(strace: str, tmp_path: Path) -> None:
    file = tmp_path / "etc" / "gitlab-runner" / "config.toml"
    atomic_file.replace(str(file), b"old\n")
    assert trace(strace, file.parent, "remove", str(file)) == [
        "flock gitlab-runner",
        "unlink gitlab-runner/config.toml",
        "fsync gitlab-runner",
        "rmdir gitlab-runner",
        "fsync directory",
    ]


def _step(line: str, directory: str) -> str:
    """A line of strace -y in plain words; reading and opening what exists is left out."""
    call = line.partition("(")[0]
    things = []
    for path in re.findall(rf"{re.escape(directory)}[^\s\">,]*", line):
        name = path.removeprefix(directory).lstrip("/")
        thing = "directory" if not name else "temporary" if ".pifleet-" in name else name
        things += [thing] if thing not in things else []
    if call == "openat":
        return f"create {things[-1]}" if "O_CREAT|O_EXCL" in line else ""
    return " ".join([call.replace("renameat2", "rename").replace("renameat", "rename"), *things])


@pytest.mark.parametrize(
    ("call", "when", "content"),
    [
        ("fchmod", 1, b"old\n"),
        ("fsync", 1, b"old\n"),
        ("/^rename", 1, b"old\n"),
        ("fsync", 2, b"new\n"),
    ],
)
def test_killed_within_a_system_call(strace: str, file: Path, call: str, when: int, content: bytes) -> None:
    """strace kills at the entrance of the call; the second fsync is that of the directory."""
    inject = f"inject={call}:signal=KILL:when={when}"
    command = [strace, "-o", "/dev/null", "-e", inject, sys.executable, str(WORKER), "replace", str(file), "new\n"]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    assert file.read_bytes() == content
    work("replace", file, "newer\n")
    assert (file.read_bytes(), names(file.parent)) == (b"newer\n", ["config.toml"])


@pytest.mark.parametrize("call", ["write", "fsync", "fchmod", "/^rename"])
def test_a_failing_system_call(strace: str, file: Path, call: str) -> None:
    inject = f"inject={call}:error=EIO:when=1"
    command = [strace, "-o", "/dev/null", "-e", inject, sys.executable, str(WORKER), "replace", str(file), "new\n"]
    failed = subprocess.run(command, capture_output=True, check=False, text=True)
    assert "could not be written: input/output error." in failed.stderr
    assert (file.read_bytes(), names(file.parent)) == (b"old\n", ["config.toml"])


# disks


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(mounted)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a file system be mounted")
    (mounted / "config.toml").write_bytes(b"old\n")
    (mounted / "config.toml").chmod(0o600)
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


@needs_root
@pytest.mark.parametrize("size", [10, 50_000])
def test_a_full_disk_keeps_the_old_file(disk: Path, size: int) -> None:
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
    (disk / "ballast").write_bytes(b"x" * free)
    for backup in (0, 3):
        with pytest.raises(atomic_file.FileError, match="could not be written: the disk is full"):
            atomic_file.replace(str(disk / "config.toml"), b"x" * size, backup=backup)
    assert (names(disk), (disk / "config.toml").read_bytes()) == (["ballast", "config.toml"], b"old\n")


@needs_root
def test_a_read_only_file_system_keeps_the_old_file(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(atomic_file.FileError, match="could not be written: the file system is read-only"):
        atomic_file.replace(str(disk / "config.toml"), b"new\n")
    with pytest.raises(atomic_file.FileError, match="could not be written: the file system is read-only"):
        atomic_file.replace(str(disk / "certs" / "ca.crt"), b"new\n")
    assert (names(disk), atomic_file.read(str(disk / "config.toml")).content) == (["config.toml"], b"old\n")


@needs_root
def test_no_permission(file: Path) -> None:
    os.chmod(file.parent, 0o755)
    for parent in list(file.parents)[1:-1]:
        parent.chmod(parent.stat().st_mode | 0o711)
    script = (
        f"import os, runpy; worker = runpy.run_path({str(WORKER)!r}, run_name='worker'); os.setuid(65534); "
        f"worker['atomic_file'].replace({str(file)!r}, b'new')"
    )
    failed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)
    assert "permission denied" in failed.stderr.lower()
    assert file.read_bytes() == b"old\n"


# the Pythons of the Pis


def _python(version: str) -> str | None:
    if version == "armhf":  # 32 bits, as the userland of many Pis; made by scripts/armhf_userland.sh
        return str(ARMHF) if ARMHF.exists() and shutil.which("qemu-arm-static") else None
    versions = Path.home() / ".pyenv" / "versions"
    found = sorted(versions.glob(f"{version}.*/bin/python{version}"))
    return str(found[-1]) if found else shutil.which(f"python{version}")


@pytest.mark.parametrize("version", PYTHONS)
def test_it_runs_under_every_python(version: str, tmp_path: Path) -> None:
    python = _python(version)
    if not python or subprocess.run([python, "-V"], capture_output=True, check=False).returncode:
        pytest.skip(f"Python {version} is not installed")
    sentence = "/new/config.toml was changed by somebody else since it was read; nothing was written."
    assert work("exercise", tmp_path, python=python) == {
        "changed": [True, False, True],
        "refused": [sentence, sentence],
        "content": "two\n",
        "mode": "600",
        "backups": ["config.toml.backup-1"],
        "left": ["config.toml", "config.toml.backup-1"],
        "removed": ["config.toml.backup-1", "config.toml"],
        "emptied": ["new"],
    }
