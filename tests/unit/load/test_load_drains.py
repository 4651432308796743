# SPDX-License-Identifier: GPL-3.0-or-later
"""The seconds of a drain, from the engine's events."""

from __future__ import annotations

import json

from load.drains import drains, unit_drains


def event(action: str, at: float, number: str = "1", **attributes: str) -> str:
    """A line of `docker events` about the container of that id."""
    return json.dumps(
        {"Action": action, "timeNano": int(at * 10**9), "Actor": {"ID": number, "Attributes": attributes}}
    )


def runner(action: str, at: float, number: str = "1", **attributes: str) -> str:
    return event(action, at, number, name="gitlab-runner", **attributes)


def test_from_sigquit_to_the_end() -> None:
    events = [runner("kill", 100, signal="3"), runner("kill", 130, signal="9"), runner("die", 130.5)]
    assert list(drains(events, since=0)) == [30.5]


def test_a_second_sigquit_starts_no_drain() -> None:
    assert list(drains([runner("kill", 1, signal="3"), runner("kill", 5, signal="3"), runner("die", 9)], 0)) == [8]


def test_a_task_of_the_service() -> None:
    labels = {"name": "gitlab-runner.x.y", "com.docker.swarm.service.name": "gitlab-runner"}
    assert list(drains([event("kill", 10, **labels, signal="3"), event("die", 12, **labels)], since=0)) == [2]


def test_each_container_has_its_own() -> None:
    events = [
        runner("kill", 10, "1", signal="3"),
        runner("kill", 11, "2", signal="3"),
        runner("die", 15, "2"),
        runner("die", 16, "1"),
    ]
    assert list(drains(events, since=0)) == [4, 6]


def test_neither_jobs_nor_other_signals_nor_what_ended_before() -> None:
    events = [
        event("kill", 1, name="runner-1-project-42-job-1", signal="3"),
        event("die", 2, name="runner-1-project-42-job-1"),
        runner("kill", 3, signal="1"),
        runner("die", 4),
        runner("kill", 5, "2", signal="3"),
        runner("die", 6, "2"),
    ]
    assert list(drains(events, since=7)) == []


def of_systemd(message: str, at: float) -> str:
    ids = {"Stopping": "de5b426a63be47a7b6ac3eaac82e2f6f", "Stopped": "9d1aaa27d60140bd96365438aad20286"}
    return json.dumps({"MESSAGE_ID": ids.get(message), "__REALTIME_TIMESTAMP": str(int(at * 10**6))})


def test_a_unit_of_systemd() -> None:
    journal = [
        of_systemd("Stopping", 1), of_systemd("Stopped", 3), of_systemd("Started", 4),
        of_systemd("Stopping", 10), of_systemd("Processing job", 11), of_systemd("Stopped", 40.5),
        of_systemd("Stopped", 41),
    ]  # fmt: skip
    assert list(unit_drains(journal, since=5)) == [30.5]
