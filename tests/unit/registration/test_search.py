# SPDX-License-Identifier: GPL-3.0-or-later
"""Searching GitLab for the runners that carry our key: by GraphQL and by REST, in every scope, with every version."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import RunnerScope
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import Transport
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration import observe
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import desired_runner
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import UnsafeChange
from fake_gitlab.server import Server
from registration_world import PLACES, PROJECT, VERSIONS, World

PROJECT_SCOPE = RunnerScope("project_type", PROJECT)


def client(world: World, token: str = "") -> GitLab:
    return GitLab(Transport(world.url, token or world.token, verify=True, timeout=5))


def search(world: World, gitlab: GitLab, scope: RunnerScope = PROJECT_SCOPE) -> list[int]:
    """The runners with the key "k" for a desired runner of the description "ours"."""
    desired = replace(desired_runner(world.options(description="ours"), "pi-01"), scope=scope, key="k")
    return [found.id for found in observe.search(desired, gitlab)]


def runner(world: World, **attributes: object) -> None:
    world.gitlab.create_runner("project_type", owner=world.project, **attributes)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("description", "found"), [("ours", None), ("theirs", [])])
@pytest.mark.parametrize("graphql", [True, False])
def test_a_note_that_may_not_be_seen_is_not_taken_for_none(
    world: World, version: str, description: str, found: list[int] | None, graphql: bool
) -> None:
    """An auditor sees every runner, and no note."""
    world.gitlab.settings.version = version
    runner(world, description=description, maintenance_note="pifleet.ci: k")
    world.gitlab.settings.graphql = graphql
    auditor = world.gitlab.add_user("auditor", auditor=True)
    gitlab = client(world, world.gitlab.add_token(auditor, ["api"]))
    if version in VERSIONS[:2]:  # where every reader sees the notes
        assert search(world, gitlab) == [1]
    elif found is None:
        with pytest.raises(UnsafeChange, match=r'Runner 1 of project 42 at .* is called "ours" as well'):
            search(world, gitlab)
    else:
        assert search(world, gitlab) == found


def test_a_runner_of_that_description_without_a_note_is_somebody_elses(world: World) -> None:
    """GraphQL says that we may update it, and so would see a note. REST does not."""
    runner(world, description="ours")
    runner(world, description="theirs", maintenance_note="pifleet.ci: k")
    assert search(world, client(world)) == [2]


@pytest.mark.parametrize("kind", sorted(PLACES))
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("graphql", [True, False])
def test_a_search_finds_what_is_in_the_place(server: Server, kind: str, version: str, graphql: bool) -> None:
    world = World(server.gitlab, server.url, kind, version=version)
    world.gitlab.settings.graphql = graphql
    note = "on the shelf\npifleet.ci: k"
    for _ in range(2):
        world.by_hand(description="any", maintenance_note=note)
    elsewhere = world.gitlab.add_project("elsewhere")
    world.gitlab.create_runner("project_type", owner=elsewhere, maintenance_note=note)
    scope = RunnerScope(kind, world.owner.id if world.owner else None)
    assert search(world, client(world), scope) == [1, 2]
