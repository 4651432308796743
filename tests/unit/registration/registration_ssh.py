# SPDX-License-Identifier: GPL-3.0-or-later
"""The ssh of a watched play: counts the executions of our module, and strikes at the one it was told to strike at.

Whatever else Ansible wants of ssh goes through untouched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from registration_kill import MARK, kill_all

WATCH = "PIFLEET_TEST_WATCH"
"""The environment variable that says what to do, in JSON; see Play.run."""

# Ansible sends the module when it has read this line of sudo's shell; the module's reply is held back.
HOLD_BACK = ["grep", "--line-buffered", "BECOME-SUCCESS"]


def main() -> NoReturn:
    watch = json.loads(os.environ[WATCH])
    *options, command = sys.argv[1:]
    number = count(Path(watch["calls"])) if watch["python"] in command else 0
    if watch["strike"] == f"{number} before":
        die()
    command = command.replace(watch["python"], watch["under"].get(str(number), "") + watch["python"])
    carry = [*watch["carrier"], *options, command] if watch["carrier"] else ["/bin/sh", "-c", command]
    if watch["strike"] == f"{number} after":
        with subprocess.Popen(HOLD_BACK, stdin=subprocess.PIPE) as replies:
            subprocess.run(carry, stdout=replies.stdin, check=False)
        die()
    os.execvp(carry[0], carry)


def count(calls: Path) -> int:
    """The number of this execution of the module in the play."""
    with calls.open("a") as file:
        file.write("module\n")
    return len(calls.read_text().splitlines())


def die() -> NoReturn:
    kill_all(os.environ[MARK])
    sys.exit("killed")


if __name__ == "__main__":
    main()
