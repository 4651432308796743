# SPDX-License-Identifier: GPL-3.0-or-later
"""Two operators at the same moment, for real: two threads on one Pi's file and one GitLab."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest
import sizes
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import ConcurrentChanges
from registration_world import Pi, Run, World

pytestmark = [pytest.mark.slow, pytest.mark.homes(secrets=1)]

KEY = "default/pi-01/docker"


class Jittered(Run):
    """A run whose every event is late by a little; events of two such runs interleave in every order."""

    def __init__(self, lock: threading.Lock, dice: random.Random) -> None:
        super().__init__()
        self.lock, self.dice = lock, dice

    def event(self, name: str, do: Callable[[], object]) -> object:
        time.sleep(self.dice.random() * 0.004)
        self.events.append(name)
        if name not in ("read", "write"):
            return do()
        with self.lock:
            return do()


@pytest.mark.parametrize("start", ["bare", "new card", "token reset"])
def test_two_operators_at_once_end_with_one_runner_and_one_token(world: World, pi: Pi, start: str) -> None:
    dice = sizes.dice(f"two operators {start}")
    both = 0
    for _round in range(25):
        world.__post_init__()
        pi.reflash()
        if start != "bare":
            world.register(pi)
            if start == "new card":
                pi.reflash()
            else:
                world.gitlab.reset_runner_token(1)
        lock = threading.Lock()
        outcomes: list[bool] = []

        def operate(lock: threading.Lock = lock, outcomes: list[bool] = outcomes) -> None:
            try:
                world.register(pi, run=Jittered(lock, dice))
            except (GitLabError, ConcurrentChanges):
                outcomes.append(False)
            else:
                outcomes.append(True)

        operators = [threading.Thread(target=operate) for _ in range(2)]
        for operator in operators:
            operator.start()
        for operator in operators:
            operator.join()
        assert any(outcomes), "both operators failed"
        both += all(outcomes)
        (number,) = world.with_key(KEY)
        (entry,) = pi.entries
        runner = world.gitlab.runner_by_token(entry["token"])
        assert runner is not None
        assert runner.id == entry["id"] == number
        assert world.register(pi).actions == []
    assert both > 20
