# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between GitLab releases, as one table; the fake behaves as the release in `settings.version`.

A handler queries a row by its name, `gitlab.has("managers_route")`, and never compares versions itself. `since` is the
first release that behaves as `newer` says. `source` is where GitLab's public code or its merge requests show it. Where
only releases before and after the change were examined, `source` names them, and `since` is chosen between them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

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
        source="lib/api/user_runners.rb; merge request 124074",
    ),
    Difference(
        "manager_job_execution_status_in_graphql",
        (16, 3),
        older="GraphQL: CiRunnerManager has no field `jobExecutionStatus`",
        newer="it has",
        source="app/graphql/types/ci/runner_manager_type.rb names 16.3",
    ),
    Difference(
        "error_for_runners_not_listed_in_graphql",
        (16, 4),
        older="GraphQL: `runners` is an empty list for those who may not list them",
        newer="it is null, with an error",
        source="app/graphql/resolvers/ci/runners_resolver.rb; merge request 130450",
    ),
    Difference(
        "maintenance_note_in_rest",
        (16, 10),
        older="GET and PUT /runners/:id: the JSON has no key `maintenance_note`, and PUT does not take the parameter",
        newer="there is the key, and PUT takes it",
        source="lib/api/entities/ci/runner_details.rb; merge request 144482, scheduled for 16.10",
    ),
    Difference(
        "manage_runner_scope",
        (17, 1),
        older="no such scope: managing a runner takes `api`",
        newer="`manage_runner` opens /runners/:id and what lies below it",
        source="lib/api/ci/runners.rb; merge request 153285",
    ),
    Difference(
        "managers_route",
        (17, 5),
        older="GET /runners/:id/managers does not exist: 404 with `error`",
        newer="it lists the runner's managers",
        source="lib/api/ci/runners.rb; merge request 153715; between 17.2 and 17.5",
    ),
    Difference(
        "orphans_are_unprocessable",
        (17, 7),
        older="a runner whose owner is gone verifies and asks for jobs as any other",
        newer="verify and jobs/request: 422 `Runner is orphaned`",
        source="lib/api/ci/helpers/runner.rb, UnknownRunnerOwnerError; between 17.3 and 17.8",
    ),
    Difference(
        "orphans_are_forbidden",
        (17, 9),
        older="422, see above",
        newer="403 `403 Forbidden - Runner is orphaned`, wherever a runner's token is shown",
        source="lib/api/ci/helpers/runner.rb; merge request 180918",
    ),
    Difference(
        "runner_goes_with_its_last_project",
        (17, 9),
        older="a project runner whose last project is deleted stays, an orphan",
        newer="it is deleted too, by a background job",
        source="app/services/ci/runners/update_project_runners_owner_service.rb; merge request 176879; 17.8 or 17.9. "
        "That group runners go with their group is our guess",
    ),
    Difference(
        "runner_stays_in_its_owner_project",
        (17, 10),
        older="a runner can be taken from the project that owns it, as long as it has another",
        newer="it cannot",
        source="lib/api/ci/runners.rb; merge request 180368; 17.9 or 17.10",
    ),
    Difference(
        "maintenance_note_for_updaters_only",
        (18, 0),
        older="whoever may read a runner reads its maintenance note",
        newer="it is null for those who may not update the runner, in REST and in GraphQL",
        source="lib/api/entities/ci/runner_details.rb, app/graphql/types/ci/runner_type.rb; between 17.5 and 18.4",
    ),
    Difference(
        "orphans_are_not_looked_for",
        (18, 1),
        older="403, see above",
        newer="verify and jobs/request do not ask for the owner",
        source="lib/api/ci/helpers/runner.rb, authenticate_runner!; between 17.9 and 19.0",
    ),
    Difference(
        "verify_is_contact_for_created_runners",
        (18, 1),
        older="verify with a `glrt-` token touches neither runner nor manager: `contacted_at` waits for a job request",
        newer="verify touches both, as it always did for registered runners",
        source="lib/api/ci/runner.rb, registering_created_runner; merge requests 113753 and 133858 brought the older "
        "way; between 17.9 and 19.0",
    ),
    Difference(
        "creation_state_in_graphql",
        (18, 1),
        older="GraphQL: CiRunner has no field `creationState`",
        newer="it has",
        source="app/graphql/types/ci/runner_type.rb; between 17.5 and 18.4",
    ),
    Difference(
        "projects_of_runner_route",
        (18, 4),
        older="GET /runners/:id/projects does not exist: 404 with `error`",
        newer="it lists the runner's projects that the caller may see",
        source="lib/api/ci/runners.rb; between 17.10 and 19.0",
    ),
    Difference(
        "orphans_keep_their_token",
        (19, 0),
        older="resetting the token of a runner without an owner: 500, the model is invalid",
        newer="422 with `error`: `... needs to be assigned to at least one project`, by token and by id",
        source="app/services/ci/runners/reset_authentication_token_service.rb and its spec; between 18.0 and 19.x",
    ),
    Difference(
        "canceling_is_idle_in_rest",
        (19, 2),
        older="`job_execution_status` is active while a job is canceling, as it always is in GraphQL",
        newer="it is idle",
        source="lib/api/ci/helpers/runner_job_execution_status_helper.rb; behind a feature flag when seen",
    ),
    Difference(
        "last_manager_leaves_contact",
        (19, 2),
        older="DELETE /runners/managers of the last manager clears the runner's `contacted_at`",
        newer="it stays",
        source="unverified: every stored app/services/ci/runners/unregister_runner_manager_service.rb clears it",
    ),
    Difference(
        "runner_named_when_not_found",
        (19, 2),
        older="an unknown runner is 404 `404 Not found`: ActiveRecord's words, rescued in lib/api/api.rb",
        newer="it is 404 `404 Runner Not Found`",
        source="lib/api/ci/runners.rb, get_runner; about July 2026",
    ),
)

_SINCE = {difference.name: difference.since for difference in DIFFERENCES}


@cache
def parse(version: str) -> tuple[int, int]:
    """Return (18, 11) for `18.11.2-ee`. Raises ValueError for anything else and for a release older than OLDEST."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None:
        raise ValueError(f"not a GitLab version: {version!r}")
    release = int(found[1]), int(found[2])
    if release < OLDEST:
        raise ValueError(f"GitLab {version} is not modelled; the oldest is {OLDEST[0]}.{OLDEST[1]}")
    return release


def has(version: str, name: str) -> bool:
    """Whether the release behaves as the row's `newer` says. Raises KeyError for an unknown row."""
    return parse(version) >= _SINCE[name]
