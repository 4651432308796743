# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of differences, row by row: what each release answers."""

from __future__ import annotations

from pathlib import Path

import fake_gitlab
import pytest
from fake_gitlab import versions
from fake_gitlab.settings import Settings
from fake_gitlab.versions import DIFFERENCES
from fake_gitlab_world import World

SOURCES = [path for path in Path(fake_gitlab.__file__).parent.rglob("*") if path.suffix in (".py", ".graphql")]


@pytest.fixture(params=["16.11.10", "17.11.7", "18.11.3", "19.1.0", Settings().version])
def release(request: pytest.FixtureRequest, world: World) -> str:
    world.gitlab.settings.version = request.param
    return str(request.param)


def since(release: str, *first: int) -> bool:
    """Whether the release is the given one or a later one."""
    return tuple(int(part) for part in release.split(".")[:2]) >= first


def test_every_row_is_obeyed_somewhere_and_named_once() -> None:
    names = [difference.name for difference in DIFFERENCES]
    assert len(set(names)) == len(names)
    text = "".join(path.read_text() for path in SOURCES if path.name != "versions.py")
    assert [name for name in names if f'"{name}"' not in text] == []


def test_every_row_says_where_it_is_from_and_falls_into_the_range() -> None:
    for difference in DIFFERENCES:
        assert difference.older, difference.name
        assert difference.newer, difference.name
        assert difference.source, difference.name
        assert versions.OLDEST < difference.since <= versions.NEWEST, difference.name


def test_the_default_is_the_newest() -> None:
    assert versions.parse(Settings().version) == versions.NEWEST


def test_the_rows_stand_in_the_order_of_releases() -> None:
    assert list(DIFFERENCES) == sorted(DIFFERENCES, key=lambda difference: difference.since)


@pytest.mark.parametrize("version", ["15.11.0", "nonsense", ""])
def test_versions_that_are_not_modelled_are_refused(version: str) -> None:
    with pytest.raises(ValueError, match="GitLab"):
        versions.parse(version)


def test_editions_and_bare_releases_are_versions() -> None:
    assert versions.parse("18.11.2-ee") == versions.parse("18.11") == (18, 11)


def test_the_version_is_told_as_it_is_set(world: World, release: str) -> None:
    assert world.call("GET", "/version", "owner").json()["version"] == release
    assert world.ask("{ metadata { version } }", "owner").json()["data"]["metadata"]["version"] == release


def test_the_words_for_a_runner_that_does_not_exist(world: World, release: str) -> None:
    words = "404 Runner Not Found" if since(release, 19, 2) else "404 Not found"
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/reset_authentication_token")):
        reply = world.call(method, f"/runners/99{path}", "stranger", **({"paused": True} if method == "PUT" else {}))
        assert (reply.status_code, reply.json()) == (404, {"message": words})
    reply = world.call("POST", "/projects/42/runners", "owner", runner_id=99)
    assert (reply.status_code, reply.json()) == (404, {"message": words})
    reply = world.call("DELETE", "/projects/42/runners/99", "owner")
    assert (reply.status_code, reply.json()) == (404, {"message": "404 Runner Not Found"})


@pytest.mark.parametrize("version", ["16.8.0", "16.9.0"])
def test_the_key_of_the_maintenance_note(world: World, version: str) -> None:
    world.gitlab.settings.version = version
    runner = world.runner(maintenance_note="old")
    address = f"/runners/{runner.id}"
    there = version == "16.9.0"
    assert ("maintenance_note" in world.call("GET", address, "maintainer").json()) is there
    reply = world.call("PUT", address, "maintainer", maintenance_note="new", paused=True)
    assert ("maintenance_note" in reply.json()) is there
    assert runner.maintenance_note == ("new" if there else "old")
    assert world.call("PUT", address, "maintainer", maintenance_note="x").status_code == (200 if there else 400)


def test_the_route_of_the_managers(world: World, release: str) -> None:
    reply = world.call("GET", f"/runners/{world.runner().id}/managers", "maintainer")
    expected = (200, []) if since(release, 17, 5) else (404, {"error": "404 Not Found"})
    assert (reply.status_code, reply.json()) == expected


@pytest.mark.parametrize(
    ("version", "creates", "manages"),
    [("16.1.0", False, False), ("16.2.0", True, False), ("17.0.0", True, False), ("17.1.0", True, True)],
)
def test_scopes_came_one_after_the_other(world: World, version: str, creates: bool, manages: bool) -> None:
    world.gitlab.settings.version = version
    world.scoped("maintainer", "create_runner", "manage_runner")
    assert world.create().status_code == (201 if creates else 403)
    assert world.call("GET", f"/runners/{world.runner().id}", "maintainer").status_code == (200 if manages else 403)


@pytest.mark.parametrize(("version", "known"), [("16.2.0", False), ("16.3.0", True)])
def test_fields_of_graphql_came_one_after_the_other(world: World, version: str, known: bool) -> None:
    world.gitlab.settings.version = version
    query = '{ project(fullPath: "fleet/pis") { runners { nodes { managers { nodes { jobExecutionStatus } } } } } }'
    assert ("errors" in world.ask(query, "owner").json()) is not known


@pytest.mark.parametrize(("version", "told"), [("16.7.0", False), ("16.8.0", True)])
def test_runners_that_may_not_be_listed_in_graphql(world: World, version: str, told: bool) -> None:
    world.gitlab.settings.version = version
    world.runner()
    reply = world.ask('{ project(fullPath: "fleet/pis") { runners { nodes { id } } } }', "developer").json()
    assert reply["data"]["project"]["runners"] == (None if told else {"nodes": []})
    assert ("errors" in reply) is told
