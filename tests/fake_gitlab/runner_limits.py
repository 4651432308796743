# SPDX-License-Identifier: GPL-3.0-or-later
"""How many runners a group or a project may have."""

from __future__ import annotations

from fake_gitlab.namespaces import Group, Project
from fake_gitlab.state import FakeGitLab
from fake_gitlab.status import is_stale


def limit_errors(gitlab: FakeGitLab, owner: Group | Project | None) -> dict[str, list[str]]:
    """A complaint when the owner has its fill; runners that were not heard from for a week do not count.

    It blames the association, not the runner: `runner_projects.base` or `runner_namespaces.base`.
    """
    if owner is None:
        return {}
    now, limit = gitlab.clock.now(), gitlab.settings.runner_limit
    count = sum(
        owner.id in ([runner.group_id] if isinstance(owner, Group) else runner.project_ids)
        and not is_stale(runner.created_at, runner.contacted_at, now)
        for runner in gitlab.runners.values()
    )
    if count < limit:
        return {}
    kind, association = ("group", "namespaces") if isinstance(owner, Group) else ("project", "projects")
    return {f"runner_{association}.base": [f"Maximum number of ci registered {kind} runners ({limit}) exceeded"]}
