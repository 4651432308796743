# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator

import fake_gitlab
import pytest
from fake_gitlab import FakeGitLab, Server
from fake_gitlab_world import World


@pytest.fixture(scope="session")
def fake_server() -> Iterator[Server]:
    with fake_gitlab.serving(FakeGitLab()) as server:
        yield server


@pytest.fixture
def world(fake_server: Server) -> World:
    fake_server.gitlab.reset()
    world = World(fake_server.url, fake_server.gitlab)
    world.populate()
    return world
