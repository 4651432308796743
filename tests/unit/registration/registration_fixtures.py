# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator

import fake_gitlab
import pytest
from fake_gitlab.server import Server
from registration_cluster import Clusters, running
from registration_world import VERSIONS, MakePi, Pi, World
from sizes import SOAK, drawn

HOMES = ("file", "secret")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with fake_gitlab.serving(fake_gitlab.FakeGitLab()) as serving:
        yield serving


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """Fake ones."""
    with running(tmp_path_factory.mktemp("kubeconfigs")) as clusters:
        yield clusters


@pytest.fixture(scope="session")
def namespaces(request: pytest.FixtureRequest) -> Iterator[MakePi]:
    """Namespaces with a Secret: of fake clusters, or of the real one that PIFLEET_CLUSTER names."""
    if "PIFLEET_CLUSTER" in os.environ:
        from integration.kubernetes.place import namespaces_of

        with namespaces_of(os.environ["PIFLEET_CLUSTER"]) as make:
            yield make
    else:
        yield request.getfixturevalue("clusters").pi


@pytest.fixture
def home(request: pytest.FixtureRequest) -> MakePi:
    """Where the runners of a test have their config.toml: a file, in tests marked `homes` also a Secret."""
    if getattr(request, "param", HOMES[0]) == HOMES[0]:
        return Pi
    make: MakePi = request.getfixturevalue("namespaces")
    return make


@pytest.fixture
def world(server: Server, home: MakePi) -> World:
    return World(server.gitlab, server.url, make_pi=home)


@pytest.fixture(params=VERSIONS)
def aged_world(server: Server, home: MakePi, request: pytest.FixtureRequest) -> World:
    """A world for each version of GitLab."""
    return World(server.gitlab, server.url, version=request.param, make_pi=home)


@pytest.fixture
def pi(home: MakePi) -> Pi:
    return home("pi-01", "s_000000000001")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("homes") and "home" in metafunc.fixturenames:
        metafunc.parametrize("home", HOMES, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of each test's cases with a Secret keep as many as its mark says, in the soak all."""
    cases: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if parameters.get("home") == HOMES[1]:
            cases[f"{item.path.name} {item.name.partition('[')[0]}"].append(item)
    left_out = set()
    for name, found in cases.items():
        mark = found[0].get_closest_marker("homes")
        count = len(found) if SOAK or mark is None else mark.kwargs["secrets"]
        left_out |= set(found) - set(drawn(found, count, f"Secrets of {name}"))
    items[:] = [item for item in items if item not in left_out]
