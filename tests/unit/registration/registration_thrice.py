# SPDX-License-Identifier: GPL-3.0-or-later
"""A run in check mode, for real, and for real again, from one start."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import desired_runner
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.result import result
from registration_world import Pi, World


def thrice(world: World, pi: Pi, **options: Any) -> list[dict[str, Any]]:
    """Check, do, again; each as the result a user gets. Check mode changes nothing, and the third writes nothing."""
    wanted = desired_runner(world.options(**options), pi.name)
    before, runners = pi.content, copy.deepcopy(world.gitlab.runners)
    world.gitlab.journal.clear()
    results = [result(wanted, world.register(pi, check=True, **options))]
    assert world.gitlab.journal.writes() == []
    assert pi.content == before
    assert {number: portrait(runner) for number, runner in runners.items()} == {
        number: portrait(runner) for number, runner in world.gitlab.runners.items()
    }
    results.append(result(wanted, world.register(pi, **options)))
    before = pi.content
    world.gitlab.journal.clear()
    results.append(result(wanted, world.register(pi, **options)))
    assert pi.content == before
    assert world.gitlab.journal.writes() == []
    for each in results:
        for runner in world.gitlab.runners.values():
            assert runner.token not in str(each)
    return results


def portrait(runner: Any) -> tuple[Any, ...]:
    return runner.token, runner.description, runner.maintenance_note, tuple(runner.tag_list), runner.paused
