# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints of the REST API (`/api/v4`) and of GraphQL."""

from __future__ import annotations

from fake_gitlab import errors
from fake_gitlab.api import (
    instance,
    jobs,
    projects_and_groups,
    registration,
    runner_assignment,
    runner_associations,
    runner_by_id,
    runner_lists,
    runner_tokens,
)
from fake_gitlab.endpoint import APIError, Call, Endpoint, Reply
from fake_gitlab.state import FakeGitLab

ENDPOINTS: tuple[Endpoint, ...] = (
    *registration.ENDPOINTS,
    *runner_lists.ENDPOINTS,
    *runner_assignment.ENDPOINTS,
    *runner_tokens.ENDPOINTS,
    *runner_by_id.ENDPOINTS,
    *runner_associations.ENDPOINTS,
    *jobs.ENDPOINTS,
    *instance.ENDPOINTS,
    *projects_and_groups.ENDPOINTS,
)
"""In routing order: literal paths before `/runners/{id}`, paths below a project before the project's own."""


def dispatch(gitlab: FakeGitLab, endpoint: Endpoint, call: Call) -> Reply:
    """Carry out a request under the lock; an APIError becomes its reply."""
    with gitlab.lock:
        try:
            if endpoint.needs and not gitlab.has(endpoint.needs):
                return Reply(404, {"error": "404 Not Found"})
            if gitlab.settings.migrations_running and endpoint.family in ("runner", "job"):
                raise errors.migrations_running()
            return endpoint.handler(gitlab, call)
        except APIError as error:
            return error.reply
