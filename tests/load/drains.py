# SPDX-License-Identifier: GPL-3.0-or-later
"""How long GitLab Runner took to stop: from SIGQUIT to its end, as the engine or systemd of each Pi saw it."""

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


# systemd names its messages "Stopping ..." and "Stopped ..." by these: journalctl --catalog shows what they mean.
_STOPPING, _STOPPED = "de5b426a63be47a7b6ac3eaac82e2f6f", "9d1aaa27d60140bd96365438aad20286"
_JOURNAL = "journalctl --unit gitlab-runner.service --output json --no-pager"


def watch(lab: Lab, pi: str) -> None:
    """Have the Pi note the signals to containers and their ends, unless it does."""
    lab.ssh(pi, _WATCH)


def seconds_of_drains(lab: Lab, pi: str, since: float) -> list[float]:
    """Return the seconds of each drain that ended on the Pi after `since`, in seconds since 1970."""
    of_containers = drains(lab.ssh(pi, f"cat {_EVENTS} 2>/dev/null || true").splitlines(), since)
    return [*of_containers, *unit_drains(lab.ssh(pi, _JOURNAL).splitlines(), since)]


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


def unit_drains(journal: Iterable[str], since: float) -> Iterator[float]:
    """Yield the seconds that each stop of the unit took, from systemd's messages in the journal."""
    asked: float | None = None
    for line in journal:
        entry = json.loads(line)
        at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
        if entry.get("MESSAGE_ID") == _STOPPING:
            asked = at
        elif entry.get("MESSAGE_ID") == _STOPPED and asked is not None:
            if at >= since:
                yield at - asked
            asked = None
