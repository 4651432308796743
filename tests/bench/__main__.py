# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: the merge of a large config.toml, and an unchanged run of site.yml against `ansible -m ping`."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import merge
from lab.__main__ import down, up
from lab.fleet import Lab, Play
from lab.host import ROOT, say

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
FLEETS = [int(size) for size in os.environ.get("BENCH_PIS", "1 3 10").split()]
RUNNERS = 50


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds, and seconds of the control node's processors."""

    seconds: float
    cpu: float


def main() -> None:
    """Measure and print; the lab that it needs is made and removed."""
    merged = _costs(_merge_large_document())
    print(
        f"merge of a config.toml with {RUNNERS} runners, one setting changed: {_range([c.seconds for c in merged])} s"
    )
    name = "bench"
    up(name, max(FLEETS))
    try:
        lab = Lab(name, [])
        say(f"site.yml on {max(FLEETS)} bare Pis")
        first = _costs(lambda: _require(lab.play().code), runs=1)[0]
        print(f"site.yml on {max(FLEETS)} bare Pis: {first.seconds:.1f} s", flush=True)
        print("Pis   ping s              site.yml s          ratio  s per Pi  CPU s  executions per Pi  tasks per Pi")
        for size in FLEETS:
            print(_row(lab, list(lab.addresses)[:size]), flush=True)
    finally:
        down(name)


def _row(lab: Lab, pis: list[str]) -> str:
    """What an unchanged run of site.yml costs on these Pis, beside a ping of the same ones in the same minute."""
    limit = ("--limit", ",".join(pis))
    plays: list[Play] = []
    ping, site = [], []
    for _run in range(RUNS):
        ping += _costs(lambda: _require(_ping(lab, *limit)), runs=1)
        site += _costs(lambda: plays.append(lab.play(*limit)), runs=1)
    for play in plays:
        _require(play.code)
    seconds = statistics.median(cost.seconds for cost in site)
    ratio = seconds / statistics.median(cost.seconds for cost in ping)
    executions = sum(entry["transport"] != "local" for entry in plays[-1].executions) / len(pis)
    tasks = sum(row["ok"] + row["skipped"] for row in plays[-1].recap.values()) / len(pis)
    return (
        f"{len(pis):>3}   {_range([cost.seconds for cost in ping]):18}  {_range([cost.seconds for cost in site]):18}  "
        f"{ratio:5.1f}  {seconds / len(pis):8.2f}  {statistics.median(cost.cpu for cost in site):5.1f}  "
        f"{executions:17.1f}  {tasks:12.1f}"
    )


def _merge_large_document() -> Callable[[], object]:
    entries = "".join(
        f'\n[[runners]]\n  name = "runner-{number}"\n  url = "https://gitlab.example.com"\n  token = "glrt-{number}"\n'
        f'  executor = "docker"\n  [runners.docker]\n    image = "debian:bookworm"\n    privileged = false\n'
        for number in range(RUNNERS)
    )
    text = f"concurrent = 2\n{entries}"
    runners = [{"name": f"runner-{number}", "limit": 1, "docker": {"shm_size": 0}} for number in range(RUNNERS)]
    return lambda: merge(text, settings={"check_interval": 5}, runners=runners)


def _ping(lab: Lab, *arguments: str) -> int:
    inventories = [argument for path in lab.inventories for argument in ("-i", str(path))]
    return subprocess.run(
        ["ansible", "pis", "-m", "ping", "-b", *inventories, *arguments], cwd=ROOT, capture_output=True, check=False
    ).returncode


def _costs(work: Callable[[], object], runs: int = RUNS) -> list[Cost]:
    costs = []
    for _run in range(runs):
        started, before = time.monotonic(), _cpu()
        work()
        costs.append(Cost(time.monotonic() - started, _cpu() - before))
    return costs


def _cpu() -> float:
    """Seconds of the processors that this process and the children it has waited for have used."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _range(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"


def _require(code: int) -> None:
    if code:
        raise SystemExit(f"a run that was to be measured failed with {code}")


if __name__ == "__main__":
    main()
