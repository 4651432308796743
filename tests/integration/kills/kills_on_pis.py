# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill plays on Pis at their events, among them what the module changes on the disk. The Pis share the work."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from registration_kills import Moment, Start, die, events, kill_at
from registration_play import Play, sentence
from simulated_pi import SimulatedPi
from sizes import PLAY_KILLS, drawn
from system_calls import SystemCall, changes, tracer

MOST_EXECUTIONS = 9


@dataclass(frozen=True)
class AtChange:
    """The module dies at the entrance of this call."""

    pi: SimulatedPi = field(compare=False, repr=False)
    call: SystemCall

    def kill(self, play: Play, options: dict[str, Any]) -> None:
        play.run_under({self.call.execution: self.call.tracer})
        self.end(play, options)
        trace = self.pi.trace(self.call.execution)
        assert trace.endswith("+++ killed by SIGKILL +++"), trace[-1000:]
        assert changes(trace, self.call.execution)[-1] == self.call

    def end(self, play: Play, options: dict[str, Any]) -> None:
        """The play lives on, and says in one sentence what became of it."""
        ended = play.register(**options)
        play.live()
        said = sentence(ended)
        assert f'runner "docker" of {self.pi.name}: ' in said
        assert "Traceback" not in said


class PowerCut(AtChange):
    """So does the play on the control node, before it learns of that."""

    def end(self, play: Play, options: dict[str, Any]) -> None:
        play.kill_at_execution(self.call.execution, "after")
        die(play, options)


def kill_repeatedly(plays: Mapping[SimulatedPi, Play], start: Start, **options: Any) -> int:
    """Kill at some requests, executions of the module and changes by it, in the soak at every one.

    Returns how many there are.
    """
    with ThreadPoolExecutor(len(plays)) as pool:
        found = list(pool.map(lambda pi: moments(pi, plays[pi], start, options), plays))
        assert all(each == found[0] for each in found), "what one Pi goes through would not stand for the others"
        numbers = drawn(range(len(found[0])), PLAY_KILLS, f"kills on Pis {start.__name__} {options}")
        shares = [[each[number] for number in numbers[pi :: len(plays)]] for pi, each in enumerate(found)]
        list(pool.map(lambda share, play: kill_at(share, play, start, options), shares, plays.values()))
    return len(found[0])


def moments(pi: SimulatedPi, play: Play, start: Start, options: dict[str, Any]) -> list[Moment]:
    play.run_under({execution: tracer(execution) for execution in range(1, MOST_EXECUTIONS + 1)})
    found = events(play, start, options)
    play.live()
    executions = range(1, play.module_executions + 1)
    calls = [call for execution in executions for call in changes(pi.trace(execution), execution)]
    return [*found, *(PowerCut(pi, call) for call in calls), *(AtChange(pi, call) for call in calls)]
