# SPDX-License-Identifier: GPL-3.0-or-later
"""One disturbance under load, and what became of the jobs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from lab.fleet import JOB_ENDS
from lab.host import LabError

from load.disturbances import DISTURBANCES, Disturbance
from load.drains import seconds_of_drains, watch
from load.feed import Feed
from load.fleet import Fleet
from load.jobs import LONGEST, WAYS, LoadJob, Runner, jobs
from load.report import Ended, Result
from load.verdict import Outcome, verdict

Dice = Callable[[str], random.Random]
"""Returns the dice for a purpose."""
_PLAY_SECONDS = 60.0
"""How long an answer takes, as long as nobody has seen it."""


class Measure:
    """Disturbs a fleet again and again; the kills are drawn within the time that the same play took before.

    `fleet` may be replaced by one that is made anew; the jobs go on where they were.
    """

    def __init__(self, fleet: Fleet, dice: Dice, longest: int = LONGEST) -> None:
        self.fleet = fleet
        self._dice = dice
        self._seconds: dict[str, float] = {}
        self._streams: dict[Runner, Iterator[LoadJob]] = {
            (pi, tag): jobs(pi, tag, dice(f"{fleet.mode} {pi} {tag}"), longest) for pi in fleet.pis for tag in WAYS
        }

    def run(self, name: str, *, kill: bool) -> Result:
        """Disturb the fleet; with `kill`, the play that answers dies at a drawn moment and is run again."""
        fleet, disturbance = self.fleet, DISTURBANCES[name]
        number = fleet.next_number()
        after = self._moment(name, number) if kill else None
        streams = {key: stream for key, stream in self._streams.items() if key[0] not in disturbance.spared}
        for pi in fleet.pis:
            watch(fleet.lab, pi)
        with Feed(fleet.lab.gitlab, streams, fleet.lab.variables["lab_job_image"]) as feed:
            feed.wait_until_all_run()
            since = time.time()
            plays, missing = self._disturb(name, disturbance, number, after)
        ended = feed.finish()
        verdicts = [(job, verdict(job, seen), seen) for job, seen in ended]
        return Result(
            mode=fleet.mode,
            disturbance=name,
            killed=kill,
            plays=plays,
            jobs=sum(judged.outcome is not Outcome.NOT_STARTED for _, judged, _ in verdicts),
            lost={
                job.name: f"{judged.reason} ({job.way} on {job.pi}, {job.lines} s)\n{seen['trace']}"
                for job, judged, seen in verdicts
                if judged.outcome is Outcome.LOST
            },
            idle=sorted(" ".join(job.runner) for job, judged, _ in verdicts if judged.outcome is Outcome.NOT_STARTED),
            missing=missing,
            drains=[seconds for pi in fleet.pis for seconds in seconds_of_drains(fleet.lab, pi, since)],
        )

    def _moment(self, name: str, number: int) -> float:
        return self._dice(f"kill {self.fleet.mode} {name} {number}").uniform(0.05, 0.95) * self._seconds.get(
            name, _PLAY_SECONDS
        )

    def _disturb(
        self, name: str, disturbance: Disturbance, number: int, kill_after: float | None
    ) -> tuple[list[Ended], list[str]]:
        fleet = self.fleet
        disturbance.change(fleet, number)
        plays = [fleet.play(disturbance.answer, kill_after)]
        if plays[0].killed:
            plays.append(fleet.play(disturbance.answer))
        self._seconds[name] = plays[-1].seconds
        missing = disturbance.missing(fleet, number)
        if disturbance.back:
            plays.append(fleet.play(disturbance.back))
        return plays, missing


def require_whole(fleet: Fleet) -> None:
    """Run the play on an undisturbed fleet, and a job with each of its runners; a LabError when that fails."""
    fleet.must_play()
    gitlab = fleet.lab.gitlab
    tags = [[pi, tag] for pi in fleet.pis for tag in WAYS]
    for number in [gitlab.call("POST", "/jobs", script=["true"], tag_list=each)["id"] for each in tags]:
        job = gitlab.wait_for_job(number, JOB_ENDS, timeout=120)
        if job["status"] != "success":
            raise LabError(f"a job for {job['tag_list']} ended as {job['status']}:\n{job['trace']}")
