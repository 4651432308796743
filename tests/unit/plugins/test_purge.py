# SPDX-License-Identifier: GPL-3.0-or-later
"""purge takes the runners of the removed entries out of GitLab too, before the file is written."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from fake_gitlab import Fault
from registration_fixtures import home, server, world
from registration_world import World
from unit.plugins.config_host import Host, configure

__all__ = ["home", "server", "world"]


@pytest.fixture
def host(world: World) -> Host:
    """A host with the entries `docker` of runner 1 and `shell` of runner 2."""
    host = Host()
    host.content = ""
    for name in ("docker", "shell"):
        runner = world.by_hand(maintenance_note=f"pifleet.ci: default/pi-01/{name}")
        host.content += (
            f'[[runners]]\nname = "{name}"\nurl = "{world.url}/"\nid = {runner.id}\ntoken = "{runner.token}"\n'
        )
    world.gitlab.journal.clear()
    return host


def purge(host: Host, monkeypatch: pytest.MonkeyPatch, world: World, **options: Any) -> dict[str, Any]:
    options = {"url": world.url, "api_token": world.token, "runners": [{"name": "docker"}], "purge": True, **options}
    return configure(host, monkeypatch, **options)


def test_the_runner_goes_with_its_entry(host: Host, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    host._task.check_mode = True
    foretold = purge(host, monkeypatch, world)
    assert world.requests() == ["GET /runners/2", "GET /runners/2/managers"]
    host._task.check_mode = False
    done = purge(host, monkeypatch, world)
    assert done == foretold
    assert (done["changed"], done["deleted_runners"], "warnings" in done) == (True, [2], False)
    assert done["diff"][1]["before"] == "runner 2 (default/pi-01/shell)\n"
    assert list(world.gitlab.runners) == [1]
    assert "shell" not in host.content

    world.gitlab.journal.clear()
    assert purge(host, monkeypatch, world) == {"changed": False, "takes_effect": "unchanged"}
    assert world.requests() == [], "nothing is purged, so nothing is asked"


def test_without_an_api_token_it_stays_and_that_is_said(
    host: Host, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    done = purge(host, monkeypatch, world, api_token=None)
    sentence = f'Runner 2 of the purged entry "shell" stays in GitLab at {world.url}: without api_token it cannot be'
    assert [warning.partition(" deleted")[0] for warning in done["warnings"]] == [f"pi-01: {sentence}"]
    assert (done["changed"], "deleted_runners" in done) == (True, False)
    assert world.requests() == []
    assert list(world.gitlab.runners) == [1, 2]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_the_file_stays_when_gitlab_is_down(
    host: Host, monkeypatch: pytest.MonkeyPatch, world: World, method: str
) -> None:
    before = host.content
    world.gitlab.faults.add(Fault(method=method, path="/runners/2", reply="captive_portal", times=None))
    with pytest.raises(AnsibleActionFail, match=r"pi-01: Could not .+/config\.toml was not written\.$"):
        purge(host, monkeypatch, world)
    assert host.content == before


def test_a_race_for_the_file_loses_no_result(host: Host, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """The runner is gone by the second attempt; it is still this run that has deleted it."""
    host.disturbances = 1
    host.content += "# first\n"
    done = purge(host, monkeypatch, world)
    assert (done["changed"], done["deleted_runners"]) == (True, [2])
    assert world.requests() == [
        "GET /runners/2",
        "GET /runners/2/managers",
        "DELETE /runners/2",
        "GET /runners/2",
    ]


def test_an_api_token_needs_to_know_its_gitlab(host: Host, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    with pytest.raises(AnsibleActionFail, match="api_token is given without url"):
        purge(host, monkeypatch, world, url=None)
