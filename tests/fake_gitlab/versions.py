# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between GitLab releases, as one table; the fake answers as the release in `settings.version` does.

A handler asks for a row by its name, `gitlab.has("managers_route")`, and never compares versions itself. `since` is the
first release that behaves as `newer` says; `source` is where GitLab's public code shows it, and how sure we are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

OLDEST = (16, 0)
NEWEST = (19, 4)


@dataclass(frozen=True)
class Difference:
    name: str
    since: tuple[int, int]
    older: str
    newer: str
    source: str


DIFFERENCES = (
    Difference(
        "create_runner_scope",
        (16, 2),
        older="no such scope: creating a runner takes `api`",
        newer="`create_runner` opens POST /user/runners",
        source="lib/api/user_runners.rb; merge request 124074, July 2023",
    ),
    Difference(
        "manager_job_execution_status_in_graphql",
        (16, 3),
        older="CiRunnerManager has no field `jobExecutionStatus`",
        newer="it has",
        source="app/graphql/types/ci/runner_manager_type.rb: milestone 16.3",
    ),
    Difference(
        "error_for_runners_not_listed_in_graphql",
        (16, 8),
        older="`runners` of a project or group is an empty list for those who may not list them",
        newer="it is null, with an error",
        source="app/graphql/resolvers/ci/runners_resolver.rb and its spec; boundary unverified",
    ),
    Difference(
        "maintenance_note_in_rest",
        (16, 9),
        older="GET and PUT /runners/:id: the JSON has no key `maintenance_note`, and PUT does not take the parameter",
        newer="there is the key (null for those who may not update the runner), and PUT takes it",
        source="lib/api/entities/ci/runner_details.rb; issue 438199",
    ),
    Difference(
        "manage_runner_scope",
        (17, 1),
        older="no such scope: managing a runner takes `api`",
        newer="`manage_runner` opens /runners/:id and what lies below it",
        source="lib/api/ci/runners.rb; merge request 153285, June 2024",
    ),
    Difference(
        "managers_route",
        (17, 5),
        older='GET /runners/:id/managers does not exist: 404 `{"error": "404 Not Found"}`',
        newer="lists the runner's managers",
        source="lib/api/ci/runners.rb; boundary between 17.1 and 17.5",
    ),
    Difference(
        "runner_named_when_not_found",
        (19, 2),
        older="an unknown runner is 404 `404 Not found` (ActiveRecord's, rescued in lib/api/api.rb)",
        newer="it is 404 `404 Runner Not Found`",
        source="lib/api/ci/runners.rb, get_runner; boundary about July 2026",
    ),
)

_SINCE = {difference.name: difference.since for difference in DIFFERENCES}


def parse(version: str) -> tuple[int, int]:
    """`18.11.2-ee` as (18, 11). Raises ValueError for what the fake does not model."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None:
        raise ValueError(f"no version of GitLab: {version!r}")
    release = int(found[1]), int(found[2])
    if release < OLDEST:
        raise ValueError(f"GitLab {version} is older than the fake can be ({OLDEST[0]}.{OLDEST[1]})")
    return release


def has(version: str, name: str) -> bool:
    """Whether that release behaves as the row's `newer` says. KeyError for a row that does not exist."""
    return parse(version) >= _SINCE[name]
