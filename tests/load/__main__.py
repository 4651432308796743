# SPDX-License-Identifier: GPL-3.0-or-later
"""`make load`: disturb fleets of a lab of its own under load, and say how many jobs were lost."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from lab.__main__ import down, up
from lab.fleet import Lab
from lab.host import ROOT, LabError, say
from sizes import SEED, dice

from load.disturbances import DISTURBANCES, not_one_swarm
from load.fleet import INVENTORY, MODES, Fleet
from load.measure import Measure, require_whole
from load.report import Result, summary

LAB = "load"
PIS = 3
FEWEST_JOBS = 300
"""In each mode, of a run that leaves nothing out."""
RECORD = ROOT / ".cache" / "load"


def main() -> int:
    """Measure and print; 1 when a job was lost, a runner or a play failed, or a play did not do what it was for."""
    arguments = _arguments()
    print(f"drawn from PIFLEET_SEED={SEED}", flush=True)
    results: list[Result] = []
    try:
        for mode in arguments.mode:
            for result in _measured(mode, arguments):
                results.append(result)
                _show(result)
    except LabError as error:
        print(f"[load] {error}", file=sys.stderr)
        return 1
    finally:
        print(f"\n{summary(results)}\ndrawn from PIFLEET_SEED={SEED}")
        if not arguments.keep:
            down(LAB)
    return 0 if all(result.good for result in results) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument("--mode", nargs="+", choices=MODES, default=MODES, help="default: all")
    parser.add_argument(
        "--only", nargs="+", choices=DISTURBANCES, metavar="NAME", help="of: " + ", ".join(DISTURBANCES)
    )
    parser.add_argument("--play", choices=("whole", "killed"), help="let the plays run, or kill them; default: both")
    parser.add_argument("--keep", action="store_true", help=f"work on the lab {LAB} if it is up, and leave it up")
    return parser.parse_args()


def _measured(mode: str, arguments: argparse.Namespace) -> Iterator[Result]:
    """Yield the results of one mode; of a run that leaves nothing out, until there were enough jobs."""
    names = [name for name in arguments.only or DISTURBANCES if mode in DISTURBANCES[name].modes]
    kills = [kill for kill, play in ((False, "whole"), (True, "killed")) if arguments.play in (None, play)]
    measure = Measure(_fleet(mode, anew=not arguments.keep), dice)
    jobs = 0
    while True:
        for name in names:
            for kill in kills:
                say(f"{mode}: {name} ({DISTURBANCES[name].what}), {'killed' if kill else 'whole'}")
                result = measure.run(name, kill=kill)
                jobs += result.jobs
                yield result
                if not result.good:
                    measure.fleet = _whole(measure.fleet)
        if arguments.only or arguments.play or jobs >= FEWEST_JOBS:
            return


def _whole(fleet: Fleet) -> Fleet:
    """Mend the fleet by its play, so that a disturbance shows nothing of the one before; else make it anew."""
    try:
        require_whole(fleet)
        # A manager that is gone but still counted brings the swarm nearer to the loss of its quorum each time.
        if fleet.mode == "service" and (missing := not_one_swarm(fleet, 0)):
            raise LabError(f"there is not {missing[0]}")
    except LabError as error:
        say(f"the fleet does not become whole, so it is made anew: {error}")
        return _fleet(fleet.mode, anew=True)
    return fleet


def _fleet(mode: str, *, anew: bool) -> Fleet:
    if anew:
        down(LAB)
    up(LAB, PIS)
    fleet = Fleet(Lab(LAB, [INVENTORY / "common", INVENTORY / mode]), mode)
    require_whole(fleet)
    return fleet


def _show(result: Result) -> None:
    """Print what is to be said of it, and keep the traces and the output of the plays."""
    RECORD.mkdir(parents=True, exist_ok=True)
    name = f"{result.mode}-{result.disturbance}-{'killed' if result.killed else 'whole'}.json"
    record: Path = RECORD / name
    record.write_text(json.dumps(asdict(result), indent=1))
    print(f"\n{summary([result])}", *(f"  {problem}" for problem in result.problems), f"  record: {record}", sep="\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
