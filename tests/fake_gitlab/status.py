# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of runners and managers, which the REST API and the web page derive differently."""

from __future__ import annotations

from datetime import datetime, timedelta

from fake_gitlab.runners import Manager, Runner

ONLINE_FOR = timedelta(hours=2)
STALE_AFTER = timedelta(days=7)


def is_online(contacted_at: datetime | None, now: datetime) -> bool:
    return contacted_at is not None and now - contacted_at < ONLINE_FOR


def is_stale(created_at: datetime, contacted_at: datetime | None, now: datetime) -> bool:
    return now - max(created_at, contacted_at or created_at) >= STALE_AFTER


def deprecated_rest_status(runner: Runner, now: datetime) -> str:
    """`status` of the REST API, which includes `paused`; stale and never_contacted take precedence over it."""
    if is_stale(runner.created_at, runner.contacted_at, now):
        return "stale"
    if runner.contacted_at is None:
        return "never_contacted"
    if runner.paused:
        return "paused"
    return "online" if is_online(runner.contacted_at, now) else "offline"


def page_status(runner: Runner, now: datetime) -> str:
    """`status` of the web page and of GraphQL: never_contacted until the first request for a job, despite `verify`."""
    if is_stale(runner.created_at, runner.contacted_at, now):
        return "stale"
    if not runner.finished or runner.contacted_at is None:
        return "never_contacted"
    return "online" if is_online(runner.contacted_at, now) else "offline"


def manager_status(manager: Manager, now: datetime) -> str:
    if is_stale(manager.created_at, manager.contacted_at, now):
        return "stale"
    if manager.contacted_at is None:
        return "never_contacted"
    return "online" if is_online(manager.contacted_at, now) else "offline"


def matches_status(runner: Runner, status: str, now: datetime) -> bool:
    """The `status` filter of lists. It uses `contacted_at_in_database`, and offline includes stale."""
    contacted_at = runner.contacted_at_in_database
    return {
        "online": is_online(contacted_at, now),
        "offline": contacted_at is not None and not is_online(contacted_at, now),
        "never_contacted": contacted_at is None,
        "stale": is_stale(runner.created_at, contacted_at, now),
        "active": not runner.paused,
        "paused": runner.paused,
    }[status]
