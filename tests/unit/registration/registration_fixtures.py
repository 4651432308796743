# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator

import fake_gitlab
import pytest
from fake_gitlab.server import Server
from registration_world import VERSIONS, Pi, World


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with fake_gitlab.serving(fake_gitlab.FakeGitLab()) as serving:
        yield serving


@pytest.fixture
def world(server: Server) -> World:
    return World(server.gitlab, server.url)


@pytest.fixture(params=VERSIONS)
def aged_world(server: Server, request: pytest.FixtureRequest) -> World:
    """A world for each version of GitLab."""
    return World(server.gitlab, server.url, version=request.param)


@pytest.fixture
def pi() -> Pi:
    return Pi("pi-01", "s_000000000001")
