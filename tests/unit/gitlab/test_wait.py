# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a machine's own process: what counts as a contact of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import Transport
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.wait import (
    RunnerNotContacted,
    recently_contacted,
    wait,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import desired_runner
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.result import result
from fake_gitlab import Fault
from fake_gitlab.server import Server
from registration_world import SHOWS_MANAGERS, VERSIONS, Pi, World

OTHER = "s_0000000000ff"


class Fleet:
    """A registered runner, and a clock that runs only while somebody waits."""

    def __init__(self, world: World, pi: Pi) -> None:
        self.world, self.pi, self.seconds = world, pi, 0.0
        self.during: dict[int, Callable[[], None]] = {}
        outcome = world.register(pi)
        self.runner = result(desired_runner(world.options(), pi.name), outcome)["runner"]

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.world.gitlab.clock.advance(seconds)
        for moment in [moment for moment in self.during if moment <= self.seconds]:
            self.during.pop(moment)()

    def wait(self) -> list[dict[str, Any]]:
        gitlab = GitLab(Transport(self.world.url, self.world.token, verify=True, timeout=5), sleep=self.sleep)
        return wait([(gitlab, self.runner)], self.pi.system_id, seconds=30, sleep=self.sleep, now=lambda: self.seconds)


@pytest.fixture
def fleet(world: World, pi: Pi) -> Fleet:
    return Fleet(world, pi)


def test_the_process_is_heard_of_while_waiting(fleet: Fleet) -> None:
    fleet.during[9] = lambda: fleet.world.heartbeat(1, fleet.pi.system_id)
    (shown,) = fleet.wait()
    assert (shown["id"], shown["name"], shown["status"]) == (1, "docker", "online")
    assert fleet.seconds == 9


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_heard_of_with_every_version(server: Server, pi: Pi, version: str) -> None:
    """Also where GitLab does not say which machine it was."""
    fleet = Fleet(World(server.gitlab, server.url, version=version), pi)
    outcome = fleet.world.register(fleet.pi)
    fleet.runner = result(desired_runner(fleet.world.options(), "pi-01"), outcome)["runner"]
    with pytest.raises(RunnerNotContacted):
        fleet.wait()
    fleet.during[fleet.seconds + 9] = lambda: fleet.world.heartbeat(1, fleet.pi.system_id)
    (shown,) = fleet.wait()
    assert (shown["id"], shown["status"]) == (1, "online")


def test_another_machine_does_not_count(fleet: Fleet) -> None:
    fleet.world.gitlab.settings.version = SHOWS_MANAGERS[0]
    fleet.during[9] = lambda: fleet.world.heartbeat(1, OTHER)
    with pytest.raises(
        RunnerNotContacted,
        match=r'Runner 1 \("docker"\) of system id s_000000000001 was not in contact with GitLab within 30 s',
    ):
        fleet.wait()


def test_a_process_that_was_replaced_meanwhile_does_not_count(fleet: Fleet) -> None:
    fleet.world.gitlab.clock.advance(20)
    fleet.world.heartbeat(1, fleet.pi.system_id)
    with pytest.raises(RunnerNotContacted):
        fleet.wait()
    fleet.during[fleet.seconds + 9] = lambda: fleet.world.heartbeat(1, fleet.pi.system_id)
    assert fleet.wait()


def test_our_own_heartbeat_does_not_count(fleet: Fleet) -> None:
    outcome = fleet.world.register(fleet.pi)
    fleet.runner = result(desired_runner(fleet.world.options(), "pi-01"), outcome)["runner"]
    with pytest.raises(RunnerNotContacted):
        fleet.wait()


def test_an_outage_in_between_is_waited_out(fleet: Fleet) -> None:
    fleet.world.gitlab.faults.add(Fault(reply="bad_gateway", times=4))
    fleet.during[21] = lambda: fleet.world.heartbeat(1, fleet.pi.system_id)
    assert fleet.wait()


def test_an_outage_to_the_end_is_named(fleet: Fleet) -> None:
    fleet.world.gitlab.faults.add(Fault(reply="bad_gateway", times=None))
    with pytest.raises(RunnerNotContacted, match="it is not working"):
        fleet.wait()


def test_a_runner_that_was_deleted_is_not_waited_for(fleet: Fleet) -> None:
    fleet.world.gitlab.delete_runner(1)
    with pytest.raises(GitLabError, match=r"404 .*[Nn]ot [Ff]ound"):
        fleet.wait()
    assert fleet.seconds == 0


@pytest.mark.parametrize(
    ("changes", "heard"),
    [
        ({}, True),
        ({"contacted_at": "2026-01-01T11:49:00.000Z"}, False),
        ({"version": None}, False),
        ({"contacted_at": None}, False),
        ({"verified_at": None}, False),
    ],
)
def test_lately_heard(changes: dict[str, Any], heard: bool) -> None:
    runner = {
        "version": "19.3.0",
        "contacted_at": "2026-01-01T11:51:00.000Z",
        "verified_at": "2026-01-01T12:00:00+00:00",
    }
    assert recently_contacted({**runner, **changes}) is heard
