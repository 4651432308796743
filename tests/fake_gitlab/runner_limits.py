# SPDX-License-Identifier: GPL-3.0-or-later
"""How many runners a group or a project may have."""

from __future__ import annotations

from fake_gitlab.namespaces import Group, Project
from fake_gitlab.state import FakeGitLab
from fake_gitlab.status import stale


def limit_problems(gitlab: FakeGitLab, owner: Group | Project | None) -> dict[str, list[str]]:
    """A complaint on `base` when the owner has its fill; runners that were not heard from for a week do not count."""
    if owner is None:
        return {}
    kind, now = ("group" if isinstance(owner, Group) else "project"), gitlab.clock.now()
    count = sum(
        owner.id == (runner.group_id if isinstance(owner, Group) else next(iter(runner.project_ids), None))
        and not stale(runner.created_at, runner.contacted_at, now)
        for runner in gitlab.runners.values()
    )
    limit = gitlab.settings.runner_limit
    if count < limit:
        return {}
    return {"base": [f"Maximum number of ci registered {kind} runners ({limit}) exceeded"]}
