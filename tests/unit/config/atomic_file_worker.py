# SPDX-License-Identifier: GPL-3.0-or-later
"""What the durability tests do in processes of their own, under any Python from 3.9 on and without Ansible.

python atomic_file_worker.py replace FILE CONTENT [PENDING]
python atomic_file_worker.py remove FILE           and its directory if nothing else is in it
python atomic_file_worker.py exercise DIRECTORY
python atomic_file_worker.py count FILE TIMES      add one to the number in FILE, as often as asked, losing none
python atomic_file_worker.py kill DIRECTORY TIMES  be killed while replacing, and look at the file each time
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "_atomic_file.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_durable_file", SOURCE)
    if spec is None or spec.loader is None:
        raise ImportError(str(SOURCE))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


atomic_file = load()


def exercise(directory: str) -> dict[str, object]:
    """The whole life of a file; what is returned must be the same under every Python."""
    path = os.path.join(directory, "new", "config.toml")
    seen = [atomic_file.replace(path, b"one\n", expected_sha256="absent").changed]
    seen += [atomic_file.replace(path, b"one\n").changed]
    seen += [atomic_file.replace(path, b"two\n", expected_sha256=atomic_file.read(path).sha256, backup=2).changed]
    refused = []
    for content, expected in ((b"three\n", "absent"), (b"three\n", "0" * 64)):
        try:
            atomic_file.replace(path, content, expected_sha256=expected)
        except atomic_file.FileConflict as error:
            refused.append(str(error).replace(directory, ""))
    done = {
        "changed": seen,
        "refused": refused,
        "content": atomic_file.read(path).content.decode(),
        "mode": f"{atomic_file.read(path).mode:o}",
        "backups": [os.path.basename(each) for each in atomic_file.backups(path)],
        "left": sorted(os.listdir(os.path.dirname(path))),
    }
    taken = atomic_file.remove(
        path, expected_sha256=atomic_file.read(path).sha256, beside=dict.fromkeys(atomic_file.backups(path), b"one\n")
    )
    return {
        **done,
        "removed": [os.path.basename(each) for each in taken.removed],
        "emptied": [os.path.basename(each) for each in atomic_file.remove_empty([os.path.dirname(path)])],
    }


def count(path: str, times: int) -> None:
    for _turn in range(times):
        while True:
            seen = atomic_file.read(path)
            try:
                atomic_file.replace(path, b"%d" % (int(seen.content) + 1), expected_sha256=seen.sha256)
                break
            except atomic_file.FileConflict:
                continue


def kill(directory: str, times: int) -> dict[str, int]:
    """Count what was found after each kill; every content is a number repeated, so that a torn one shows."""
    path, found = os.path.join(directory, "config.toml"), {"old": 0, "new": 0, "torn": 0}
    atomic_file.replace(path, _content(0))
    before = _content(0)
    started = time.monotonic()
    atomic_file.replace(path, _content(1), backup=2)
    atomic_file.replace(path, before, backup=2)
    usual = (time.monotonic() - started) / 2
    for turn in range(1, times + 1):
        child = os.fork()
        if child == 0:
            atomic_file.replace(path, _content(turn), backup=2)
            os._exit(0)
        time.sleep(random.random() * usual * 2)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        content = atomic_file.read(path).content
        # a machine that is busy otherwise is faster or slower than it was at first: go on meeting the middle
        if content == _content(turn):
            found["new"] += 1
            usual *= 0.97
        elif content == before:
            found["old"] += 1
            usual *= 1.03
        else:
            found["torn"] += 1
        before = content
    atomic_file.replace(path, _content(0), backup=2)
    found["left over"] = sum(".pifleet-" in entry for entry in os.listdir(directory))
    found["backups"] = len(atomic_file.backups(path))
    return found


def _content(turn: int) -> bytes:
    return b"%d\n" % turn * 3000


if __name__ == "__main__":
    what, path, *rest = sys.argv[1:]
    if what == "replace":
        atomic_file.replace(path, rest[0].encode(), pending=rest[1] if rest[1:] else None)
    elif what == "remove":
        atomic_file.remove(path)
        atomic_file.remove_empty([os.path.dirname(path)])
    elif what == "count":
        count(path, int(rest[0]))
    else:
        print(json.dumps(exercise(path) if what == "exercise" else kill(path, int(rest[0]))))
