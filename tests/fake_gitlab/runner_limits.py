# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan limits `ci_registered_group_runners` and `ci_registered_project_runners`."""

from __future__ import annotations

from fake_gitlab.namespaces import Group, Project
from fake_gitlab.state import FakeGitLab
from fake_gitlab.status import is_stale


def limit_errors(gitlab: FakeGitLab, owner: Group | Project | None) -> dict[str, list[str]]:
    """The validation error if `owner` has reached the limit; stale runners do not count, instance runners have none.

    The error is on the association, not on the runner: `runner_projects.base` or `runner_namespaces.base`.
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
