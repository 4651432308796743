# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does with commands of the real `gitlab-runner`, where PATH has it, and what our next run makes of it.

The stand-in does not have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import AuthMethod
from fake_gitlab.runners import Runner
from registration_pi import RegisteredPi, registered_pi
from registration_world import World
from unit.runner_standin.standin_programs import REAL, installed

pytestmark = pytest.mark.slow

CREATED = ["created", "entry_written"]
ADOPTED = ["adopted", "token_reset", "entry_written"]
TAGS = ["arm64", "rpi"]


@pytest.fixture
def pi(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[RegisteredPi]:
    with registered_pi(installed(REAL), tmp_path, world, monkeypatch) as pi:
        yield pi


def by_hand(pi: RegisteredPi, command: str, *arguments: str) -> None:
    done = pi.command(command, *arguments)
    assert done.returncode == 0, done.stderr


def register(pi: RegisteredPi, token: str, name: str) -> None:
    whose = ["--url", pi.url, "--token", token]
    by_hand(pi, "register", "--non-interactive", *whose, "--name", name, "--executor", "shell")


def taken_in(pi: RegisteredPi) -> None:
    """What is left is one entry and one runner with our key, and the process works with it."""
    pi.stays()
    assert [entry["name"] for entry in pi.entries] == ["docker"]
    pi.start()
    pi.takes_a_job()


def test_registered_by_hand_on_a_bare_host(pi: RegisteredPi, world: World) -> None:
    """Its runner becomes ours. The system id stays the one that the program made."""
    runner = world.by_hand(tag_list=TAGS)
    register(pi, runner.token, "docker")
    made = pi.system_id
    assert pi.play() == ["adopted", "updated"]
    taken_in(pi)
    assert list(world.gitlab.runners) == [runner.id]
    assert list(runner.managers) == [pi.system_id] == [made]


@pytest.mark.parametrize("name", ["docker", "pi-01"])
def test_our_token_registered_by_hand_once_more(pi: RegisteredPi, world: World, name: str) -> None:
    pi.play()
    register(pi, pi.runner().token, name)
    assert len(pi.entries) == 2
    assert pi.play() == ["entry_written"]
    taken_in(pi)
    assert list(world.gitlab.runners) == [1]


def test_another_runner_registered_by_hand_is_left_alone(pi: RegisteredPi, world: World) -> None:
    pi.play()
    other: Runner = world.by_hand(description="pi-01 docker", tag_list=TAGS)
    register(pi, other.token, "theirs")
    assert pi.play() == []
    pi.stays()
    assert pi.runner("theirs") is other
    assert (other.description, other.maintenance_note) == ("pi-01 docker", None)


@pytest.mark.parametrize(
    ("way", "left", "actions"),
    [
        pytest.param(AuthMethod.API, [1], ADOPTED, id="a user's runner"),
        pytest.param(AuthMethod.REGISTRATION, [], CREATED, id="a registered runner"),
    ],
)
def test_unregistered_by_hand(
    pi: RegisteredPi, world: World, way: AuthMethod, left: list[int], actions: list[str]
) -> None:
    """Only this machine's share in a runner that a user made; the whole runner of a registration token."""
    pi.play(way=way)
    pi.stays(way=way)  # GitLab has to have heard of this machine, or there is no share that the program could give up
    by_hand(pi, "unregister", "--name", "docker")
    assert pi.entries == []
    assert list(world.gitlab.runners) == left
    assert pi.play() == actions
    taken_in(pi)


def test_dropped_by_verify_after_the_runner_was_deleted(pi: RegisteredPi, world: World) -> None:
    pi.play()
    world.gitlab.delete_runner(1)
    by_hand(pi, "verify", "--delete")
    assert pi.entries == []
    assert pi.play() == CREATED
    taken_in(pi)


def test_token_reset_by_hand(pi: RegisteredPi, world: World) -> None:
    pi.play()
    before = pi.runner().token
    by_hand(pi, "reset-token", "--name", "docker")
    assert pi.runner().token != before
    assert pi.play() == []
    taken_in(pi)
