# SPDX-License-Identifier: GPL-3.0-or-later
"""How long GitLab Runner took to stop: from SIGQUIT to its end, as the engine of each Pi saw it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the unit tests know no lab
    from lab.fleet import Lab

_EVENTS = "/run/load-events"
# Starts again when the engine does, and waits for one on a bare Pi. The shell's quotes are those of `sh -c '...'`.
_WATCH = (
    f"systemctl is-active --quiet load-events || systemd-run --quiet --collect --unit load-events sh -c "
    f"'while :; do docker events --filter type=container --filter event=kill --filter event=die "
    f'--format "{{{{json .}}}}" >>{_EVENTS}; sleep 1; done\''
)


def watch(lab: Lab, pi: str) -> None:
    """Have the Pi note the signals to containers and their ends, unless it does."""
    lab.ssh(pi, _WATCH)


def seconds_of_drains(lab: Lab, pi: str, since: float) -> list[float]:
    """Return the seconds of each drain that ended on the Pi after `since`, in seconds since 1970."""
    return list(drains(lab.ssh(pi, f"cat {_EVENTS} 2>/dev/null || true").splitlines(), since))


def drains(events: Iterable[str], since: float) -> Iterator[float]:
    """Yield the seconds between SIGQUIT to a container of GitLab Runner and its end, from the engine's events."""
    asked: dict[str, float] = {}
    for line in events:
        event = json.loads(line)
        actor, at = event["Actor"], event["timeNano"] / 1e9
        attributes = actor["Attributes"]
        service = attributes.get("com.docker.swarm.service.name")
        if "gitlab-runner" not in (attributes.get("name"), service):
            continue
        if event["Action"] == "kill" and attributes.get("signal") == "3":
            asked.setdefault(actor["ID"], at)
        elif event["Action"] == "die" and actor["ID"] in asked:
            started = asked.pop(actor["ID"])
            if at >= since:
                yield at - started
