# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until a machine's own runner process was in contact with GitLab, not merely our verify."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError, RequestRejected
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import Manager, parse_time

RECENT = timedelta(minutes=10)
POLL_SECONDS = 3.0
OWN_HEARTBEAT = timedelta(seconds=1)
"""Times are whole seconds: a contact this much after our own verify is not that verify."""


class RunnerNotContacted(Exception):
    """Some runners were not in contact with GitLab in time; one sentence that names them."""


def recently_contacted(runner: Mapping[str, Any]) -> bool:
    """Whether the runner's process was in contact shortly before our verify. Only the process tells its version."""
    contacted, verified = _time(runner, "contacted_at"), _time(runner, "verified_at")
    return bool(runner.get("version") and contacted and verified and verified - contacted <= RECENT)


def wait(
    runners: Sequence[tuple[GitLab, Mapping[str, Any]]],
    system_id: str,
    *,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> list[dict[str, Any]]:
    """Wait until this machine was in contact with GitLab for each of the runners.

    runners: as gitlab_runner_register returns them, each with the GitLab to ask.
    A contact that GitLab knows of already does not count: it may be that of a process which was replaced since.
    Outages in between are waited out. Raises RunnerNotContacted after so many seconds, and RequestRejected.
    """
    deadline = now() + seconds
    known: dict[int, datetime | None] = {}
    heard: dict[int, Manager] = {}
    trouble = ""
    while True:
        for gitlab, runner in runners:
            if runner["id"] in heard:
                continue
            try:
                manager = _manager(gitlab, runner, system_id)
                trouble = ""
            except RequestRejected:
                raise
            except GitLabError as error:
                trouble = f" {error}"
                break
            contact = parse_time(manager.contacted_at) if manager else None
            since = known.setdefault(runner["id"], max(filter(None, (contact, _own_heartbeat(runner))), default=None))
            if manager and contact and (since is None or contact > since):
                heard[runner["id"]] = manager
        silent = [runner for _gitlab, runner in runners if runner["id"] not in heard]
        if not silent:
            return [_shown(runner, heard[runner["id"]]) for _gitlab, runner in runners]
        if now() + POLL_SECONDS > deadline:
            listed = ", ".join(f'{runner["id"]} ("{runner["name"]}")' for runner in silent)
            raise RunnerNotContacted(
                f"Runner {listed} of system id {system_id} was not in contact with GitLab within {seconds:.0f} s; look "
                f"at the log of GitLab Runner on the host, and whether the host reaches GitLab.{trouble}"
            )
        sleep(POLL_SECONDS)


def _manager(gitlab: GitLab, runner: Mapping[str, Any], system_id: str) -> Manager | None:
    managers = gitlab.managers(runner["id"])
    if managers is not None:
        return next((manager for manager in managers if manager.system_id == system_id), None)
    shown = gitlab.runner(runner["id"])  # an older GitLab, which says only when any machine was in contact
    return Manager(system_id, shown.status == "online", "", shown.contacted_at) if shown else None


def _own_heartbeat(runner: Mapping[str, Any]) -> datetime | None:
    verified = _time(runner, "verified_at")
    return verified + OWN_HEARTBEAT if verified else None


def _shown(runner: Mapping[str, Any], manager: Manager) -> dict[str, Any]:
    status = "online" if manager.online else "offline"
    return {"id": runner["id"], "name": runner["name"], "status": status, "contacted_at": manager.contacted_at}


def _time(runner: Mapping[str, Any], field: str) -> datetime | None:
    return parse_time(str(runner.get(field) or ""))
