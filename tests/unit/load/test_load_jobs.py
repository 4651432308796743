# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of the load: the same for the same dice, and their scripts do what the verdict expects of them."""

from __future__ import annotations

import random
import subprocess
from itertools import islice
from pathlib import Path

import pytest
from load.jobs import LONGEST, SHORTEST, WAYS, LoadJob, jobs
from load.verdict import Outcome, verdict

DOCKER = """#!/bin/sh
# What the Docker client does for these jobs: run has the command last, build the folder of a Dockerfile.
case $1 in
  run) for last; do :; done; exec sh -c "$last" ;;
  build) for last; do :; done; exec sh -c "$(sed -n 's/^RUN //p' "$last/Dockerfile")" ;;
  rmi) exit 0 ;;
esac
"""


def some(tag: str, seed: int, count: int = 200) -> list[LoadJob]:
    return list(islice(jobs("pi-01", tag, random.Random(seed)), count))


@pytest.mark.parametrize("tag", WAYS)
def test_the_dice_decide(tag: str) -> None:
    assert some(tag, 1) == some(tag, 1)
    assert some(tag, 1) != some(tag, 2)


@pytest.mark.parametrize("tag", WAYS)
def test_they_differ_in_all_that_matters(tag: str) -> None:
    found = some(tag, 1)
    assert len({job.name for job in found}) == len(found)
    assert {job.way for job in found} == set(WAYS[tag])
    assert {job.lines for job in found} == set(range(SHORTEST, LONGEST + 1))
    assert {job.exit_code for job in found} == {0, 7}


@pytest.mark.parametrize("exit_code", [0, 7])
@pytest.mark.parametrize(("tag", "way"), [(tag, way) for tag, ways in WAYS.items() for way in ways])
def test_a_script_ends_as_the_verdict_wants_it(tmp_path: Path, tag: str, way: str, exit_code: int) -> None:
    for program, text in (("docker", DOCKER), ("sleep", "#!/bin/sh\n")):
        (tmp_path / program).write_text(text)
        (tmp_path / program).chmod(0o755)
    job = LoadJob("load-1", "pi-01", tag, way, lines=2, exit_code=exit_code)
    (command,) = job.request("busybox")["script"]
    done = subprocess.run(
        ["sh"], input=f"set -e\n{command}\n", cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == exit_code, done.stderr
    failed = {"status": "failed", "failure_reason": "script_failure", "exit_code": done.returncode}
    good = {"status": "success", "failure_reason": None, "exit_code": None}
    seen = {"started_at": "then", "trace": done.stdout, **(failed if done.returncode else good)}
    assert verdict(job, seen).outcome is Outcome.DONE, done.stdout


def test_a_runner_that_shows_commands_shows_no_line_of_the_job() -> None:
    for tag in WAYS:
        for job in some(tag, 3, 20):
            (command,) = job.request("busybox")["script"]
            assert command.splitlines()[0] == ":"
            assert not any(job.line(number) in command for number in range(1, job.lines + 1))
