# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests and file operations a run takes, and in which order."""

from __future__ import annotations

import pytest
from fake_gitlab import Fault
from fake_gitlab.server import Server
from registration_world import PLACES, PROJECT, Pi, Run, World

VERIFY, CREATE = "POST /runners/verify", "POST /user/runners"
LIST = f"GET /projects/{PROJECT}/runners"
RESET = "POST /runners/351/reset_authentication_token"


def test_unchanged_run_takes_one_get_one_verify_and_one_look_at_the_file(world: World, pi: Pi) -> None:
    world.register(pi)
    world.gitlab.journal.clear()
    run = Run()
    world.register(pi, run=run)
    assert world.requests() == ["GET /runners/1", VERIFY]
    assert run.events == ["read", "get /runners/1", "post /runners/verify"]
    assert world.gitlab.journal[1].system_id == pi.system_id


def test_the_get_comes_before_the_heartbeat_so_that_it_shows_the_process(world: World, pi: Pi) -> None:
    world.register(pi)
    world.heartbeat(1, pi.system_id)
    contact = world.gitlab.runners[1].contacted_at
    world.gitlab.clock.advance(300)
    outcome = world.register(pi)
    assert outcome.runner is not None
    assert outcome.runner.version == "19.3.0"
    assert contact is not None
    assert outcome.runner.contacted_at == contact.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert outcome.verified_at is not None
    assert outcome.verified_at > contact


def test_a_creation_looks_announces_itself_asks_and_writes(world: World, pi: Pi) -> None:
    run = Run()
    world.register(pi, run=run)
    looks = [f"get /projects/{PROJECT}", "post /api/graphql"]
    assert run.events == ["read", *looks, "write", "post /user/runners", "write"]


@pytest.fixture
def crowd(world: World) -> World:
    """350 runners of other people in the project, then ours."""
    for number in range(350):
        world.gitlab.create_runner("project_type", owner=world.project, description=f"other {number}")
    return world


GRAPHQL = "POST /graphql"
WHERE = f"GET /projects/{PROJECT}"


def test_lost_token_among_350_others(crowd: World, pi: Pi) -> None:
    """GraphQL shows the notes of 100 runners a page."""
    crowd.register(pi)
    pi.reflash()
    crowd.gitlab.journal.clear()
    crowd.register(pi)
    assert crowd.requests() == [WHERE, *[GRAPHQL] * 4, "GET /runners/351", "GET /runners/351/managers", RESET]


def test_creation_among_350_others(crowd: World, pi: Pi) -> None:
    crowd.register(pi)
    assert crowd.requests() == [WHERE, *[GRAPHQL] * 4, CREATE]


@pytest.mark.parametrize("reason", ["no GraphQL", "too complex"])
def test_without_graphql_each_runner_is_read(crowd: World, pi: Pi, reason: str) -> None:
    """The version, 4 pages, 351 details because lists show no notes, 1 look at the managers, 1 reset."""
    crowd.register(pi)
    pi.reflash()
    if reason == "no GraphQL":
        crowd.gitlab.settings.graphql = False
    else:
        crowd.gitlab.faults.add(Fault(path="/graphql", reply="graphql_complexity", times=None))
    crowd.gitlab.journal.clear()
    crowd.register(pi)
    requests = crowd.requests()
    assert requests[:3] == [WHERE, GRAPHQL, "GET /version"]
    assert requests.count(LIST) == 4
    assert requests.count("GET /runners/351/managers") == requests.count(RESET) == 1
    assert len(requests) == 3 + 4 + 351 + 1 + 1


PER_RUNNER = 12


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(PLACES))
def test_the_first_run_of_a_fleet_is_linear(server: Server, kind: str) -> None:
    """60 Pis with two runners each, all in one place: the mean per runner, and the same for twice as many."""
    world = World(server.gitlab, server.url, kind)
    means = []
    for pis in (30, 60):
        world.gitlab.journal.clear()
        fresh = [Pi(f"pi-{pis}-{number}", f"s_{pis:04}{number:08}") for number in range(pis)]
        for pi in fresh:
            for name in ("docker", "docker-socket"):
                world.register(pi, name=name)
        means.append(len(world.gitlab.journal) / (2 * pis))
    assert means[1] <= PER_RUNNER
    assert means[1] <= means[0] + 1
    assert len(world.gitlab.runners) == 180


@pytest.mark.parametrize("listing", ["/graphql", f"/projects/{PROJECT}/runners"])
def test_a_list_that_shifts_while_it_is_read_hides_nothing(crowd: World, pi: Pi, listing: str) -> None:
    """Somebody deletes runners of the first page: what was on the second page would slip through between the two."""
    crowd.register(pi)
    pi.reflash()
    crowd.gitlab.settings.graphql = listing == "/graphql"
    pages = 0

    def delete_one(entry: object) -> None:
        nonlocal pages
        pages += listing in str(entry)
        if pages == 2:
            pages = 100
            for number in range(1, 101):
                crowd.gitlab.delete_runner(number)

    crowd.gitlab.before_request = delete_one
    assert crowd.register(pi).actions == ["adopted", "token_reset", "entry_written"]
    assert len(crowd.with_key("default/pi-01/docker")) == 1


def test_two_pis_do_not_disturb_each_other(world: World, pi: Pi) -> None:
    other = Pi("pi-02", "s_000000000002")
    for each in (pi, other, pi, other):
        world.register(each)
    world.gitlab.journal.clear()
    assert world.register(pi).actions == world.register(other).actions == []
    assert len(world.gitlab.runners) == 2
