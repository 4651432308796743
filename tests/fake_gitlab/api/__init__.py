# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints, one module for each kind of thing they are about."""

from __future__ import annotations

from fake_gitlab.api import instance, jobs_of_runner, lists, registration, runner_jobs, runner_tokens, single_runner
from fake_gitlab.exchange import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *registration.ENDPOINTS,
    *lists.ENDPOINTS,
    *runner_tokens.ENDPOINTS,
    *single_runner.ENDPOINTS,
    *jobs_of_runner.ENDPOINTS,
    *runner_jobs.ENDPOINTS,
    *instance.ENDPOINTS,
)
"""In the order of routing: literal paths stand before `/runners/{id}`."""
