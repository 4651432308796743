# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement came to: jobs, lost ones, the longest drain, seconds per Pi."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ended:
    """A play that has ended, by itself or by SIGKILL."""

    call: str
    code: int
    seconds: float
    killed: bool
    output: str
    pis: int
    """How many the recap names; 0 when it was killed."""


@dataclass(frozen=True)
class Result:
    """One disturbance under load."""

    mode: str
    disturbance: str
    killed: bool
    """Whether the play that answers was to be killed and run again."""
    plays: Sequence[Ended]
    """The answer, again if it was killed, and the play that makes the fleet whole again."""
    jobs: int
    """That a runner has taken."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """By the job's name: why, and its trace."""
    idle: Sequence[str] = ()
    """Runners that took no job any more, as `pi-01 docker`."""
    missing: Sequence[str] = ()
    """What the play did not bring about, as `another image on pi-01`."""
    drains: Sequence[float] = ()
    """Seconds."""

    @property
    def failed(self) -> list[Ended]:
        """The plays that failed by themselves."""
        return [play for play in self.plays if play.code != 0 and not play.killed]

    @property
    def good(self) -> bool:
        return not (self.lost or self.idle or self.missing or self.failed)

    @property
    def seconds_per_pi(self) -> float | None:
        """Of the answer that ran to its end; None without one."""
        answers = [play for play in self.plays if play.call == self.plays[0].call and play.pis]
        return answers[-1].seconds / answers[-1].pis if answers else None

    @property
    def problems(self) -> Iterator[str]:
        """A line each."""
        for name, why in self.lost.items():
            yield f"{name} {why.splitlines()[0]}"
        if self.idle:
            yield f"take no job any more: {', '.join(self.idle)}"
        if self.missing:
            yield f"not brought about: {', '.join(self.missing)}"
        for play in self.failed:
            yield f"{play.call} failed with {play.code}: {first_failure(play.output)}"


def summary(results: Sequence[Result]) -> str:
    """Return the table of the results and a line with the sums."""
    head = ("mode", "disturbance", "play", "jobs", "lost", "longest drain", "s per Pi", "")
    rows = [head, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    drains = [seconds for result in results for seconds in result.drains]
    taken, lost = sum(result.jobs for result in results), sum(len(result.lost) for result in results)
    return "\n".join([*lines, "", f"{taken} jobs, {lost} lost, longest drain {_longest(drains)}"])


def _row(result: Result) -> tuple[str, ...]:
    per_pi = result.seconds_per_pi
    return (
        result.mode,
        result.disturbance,
        "killed, run again" if any(play.killed for play in result.plays) else "whole",
        str(result.jobs),
        str(len(result.lost)),
        _longest(result.drains),
        "" if per_pi is None else f"{per_pi:.0f}",
        ", ".join(
            f"{len(found)} {what}"
            for what, found in (
                ("plays failed", result.failed),
                ("runners idle", result.idle),
                ("not brought about", result.missing),
            )
            if found
        ),
    )


def _longest(drains: Sequence[float]) -> str:
    return f"{max(drains):.0f} s" if drains else "-"


def first_failure(output: str) -> str:
    """Return the first line of a play's output that says what failed."""
    marks = ("fatal:", "[ERROR]", "ERROR!")
    return next((line for line in output.splitlines() if line.startswith(marks)), output[-300:].strip())
