# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays of the unit tests' world, on the lab's Pis. Each Pi has a GitLab of its own, of another version, here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import fake_gitlab
import pytest
from lab.fleet import Lab

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "registration"))

from plays.cores import PLAYBOOKS
from registration_kill import kill_all
from registration_play import Play
from registration_world import VERSIONS, World
from simulated_pi import SimulatedPi
from sizes import drawn


@pytest.fixture
def plays(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[SimulatedPi, Play]]:
    """The Pis of the lab, and plays for each."""
    folder = tmp_path_factory.mktemp("pis")  # short: the path of an ssh socket has room for a hundred letters
    pis = [SimulatedPi(lab, name) for name in lab.addresses]
    versions = drawn(VERSIONS, len(pis), "GitLab of each Pi")
    print("Kills with GitLab", ", ".join(versions))
    with ExitStack() as stack:
        yield {
            pi: stack.enter_context(play_on(pi, folder / pi.name, version))
            for pi, version in zip(pis, versions, strict=True)
        }


@contextmanager
def play_on(pi: SimulatedPi, directory: Path, version: str) -> Iterator[Play]:
    directory.mkdir()
    with fake_gitlab.serving(fake_gitlab.FakeGitLab()) as server:
        play = Play(PLAYBOOKS[0], directory, World(server.gitlab, server.url, version=version), pi)
        try:
            yield play
        finally:
            kill_all(play.mark)  # its connection to the Pi, which would stay for a minute
            pi.clean()
