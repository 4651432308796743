# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints, one module for each kind of thing they are about."""

from __future__ import annotations

from fake_gitlab import refusals
from fake_gitlab.api import (
    instance,
    jobs_of_runner,
    lists,
    owners,
    registration,
    runner_jobs,
    runner_tokens,
    single_runner,
)
from fake_gitlab.exchange import Call, Endpoint, Refusal, Reply
from fake_gitlab.state import FakeGitLab

ENDPOINTS: tuple[Endpoint, ...] = (
    *registration.ENDPOINTS,
    *lists.ENDPOINTS,
    *runner_tokens.ENDPOINTS,
    *single_runner.ENDPOINTS,
    *jobs_of_runner.ENDPOINTS,
    *runner_jobs.ENDPOINTS,
    *instance.ENDPOINTS,
    *owners.ENDPOINTS,
)
"""In the order of routing: literal paths stand before `/runners/{id}`, what lies below a project before the project."""


def answer(gitlab: FakeGitLab, endpoint: Endpoint, call: Call) -> Reply:
    """Carry a request out, alone. While the server migrates, those with a runner's or job's token have to wait."""
    with gitlab.lock:
        try:
            if endpoint.needs and not gitlab.has(endpoint.needs):
                return Reply(404, {"error": "404 Not Found"})
            if gitlab.settings.migrations_running and endpoint.family in ("runner", "job"):
                raise refusals.migrating()
            return endpoint.handler(gitlab, call)
        except Refusal as refusal:
            return refusal.reply
