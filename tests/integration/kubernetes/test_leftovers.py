# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster that is built here leaves nothing, whatever becomes of the process that makes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import cgroups
from cluster.made import Cluster
from cluster.place import Place
from lab.host import ROOT
from sizes import dice

_DICE = dice("kills of a cluster")
MOMENTS = [round(_DICE.uniform(0.2, 15), 1) for _number in range(3)]
"""Seconds after its start at which `up` is killed. It takes 10 on an idle machine and 40 on a busy one."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Place]:
    """Another cluster beside the one of the tests."""
    if cluster.kind != "own":
        pytest.skip("a cluster of kind or k3d, or one that somebody has, is theirs to clean")
    place = Place("killed")
    command("down", place).wait()
    yield place
    command("down", place).wait()


def command(verb: str, place: Place) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "molecule")}
    return subprocess.Popen([sys.executable, "-m", "cluster", verb, place.name], env=environment, cwd=ROOT)


def left(place: Place) -> list[str]:
    """What is there of a cluster: files, cgroups, processes, network."""
    name = place.kernel_name
    paths = [place.folder, Path("/run/netns") / name, Path("/sys/class/net") / name]
    paths += [hierarchy.path / name for hierarchy in cgroups.mounted()]
    running = [f"process {pid}" for pid in cgroups.processes(name)]
    mounts = Path("/proc/self/mountinfo").read_text().count(str(place.folder))
    return [str(path) for path in paths if path.exists()] + running + ["a mount"] * mounts


def test_an_interrupted_start_is_no_obstacle(place: Place) -> None:
    for seconds in MOMENTS:
        interrupted = command("up", place)
        time.sleep(seconds)
        interrupted.kill()
        interrupted.wait()
    assert command("up", place).wait() == 0
    assert left(place)
    assert command("down", place).wait() == 0
    assert left(place) == []


@pytest.mark.parametrize("seconds", MOMENTS)
def test_nothing_is_left_of_an_interrupted_start(place: Place, seconds: float) -> None:
    interrupted = command("up", place)
    time.sleep(seconds)
    interrupted.kill()
    interrupted.wait()
    assert command("down", place).wait() == 0
    assert left(place) == []


def test_a_directory_that_somebody_removed_is_no_obstacle(place: Place) -> None:
    assert command("up", place).wait() == 0
    shutil.rmtree(place.folder, ignore_errors=True)
    assert command("down", place).wait() == 0
    assert left(place) == []


def test_a_second_down_is_as_good_as_one(place: Place) -> None:
    assert command("down", place).wait() == 0
    assert left(place) == []
