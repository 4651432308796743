# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: the merge of a large config.toml, and an unchanged run of site.yml against `ansible -m ping`."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import merge
from lab.__main__ import down, up
from lab.fleet import Lab
from lab.host import ROOT, say

RUNS = 5
RUNNERS = 50


def main() -> None:
    """Measure and print; the lab that it needs is made and removed."""
    _report(f"merge of a config.toml with {RUNNERS} runners, one setting changed", *_seconds(_merge_large_document()))
    name = "bench"
    up(name, int(os.environ.get("LAB_PIS", "3")))
    try:
        lab = Lab(name, [])
        say("site.yml on bare Pis")
        started = time.monotonic()
        _require(lab.play().code)
        _report(f"site.yml on {len(lab.addresses)} bare Pis", time.monotonic() - started)
        ping = _seconds(lambda: _require(_ping(lab)))
        site = _seconds(lambda: _require(lab.play().code))
        _report("ansible -m ping", *ping)
        _report("site.yml, unchanged", *site)
        print(f"site.yml / ping: {statistics.median(site) / statistics.median(ping):.1f}")
        executions = lab.play().executions
        print(f"module executions per Pi, unchanged: {len(executions) / len(lab.addresses):.1f}")
    finally:
        down(name)


def _merge_large_document() -> Callable[[], object]:
    entries = "".join(
        f'\n[[runners]]\n  name = "runner-{number}"\n  url = "https://gitlab.example.com"\n  token = "glrt-{number}"\n'
        f'  executor = "docker"\n  [runners.docker]\n    image = "debian:bookworm"\n    privileged = false\n'
        for number in range(RUNNERS)
    )
    text = f"concurrent = 2\n{entries}"
    runners = [{"name": f"runner-{number}", "limit": 1, "docker": {"shm_size": 0}} for number in range(RUNNERS)]
    return lambda: merge(text, settings={"check_interval": 5}, runners=runners)


def _ping(lab: Lab) -> int:
    inventories = [argument for path in lab.inventories for argument in ("-i", str(path))]
    return subprocess.run(
        ["ansible", "pis", "-m", "ping", "-b", *inventories], cwd=ROOT, capture_output=True, check=False
    ).returncode


def _seconds(work: Callable[[], object]) -> list[float]:
    seconds = []
    for _ in range(RUNS):
        started = time.monotonic()
        work()
        seconds.append(time.monotonic() - started)
    return seconds


def _report(what: str, *seconds: float) -> None:
    spread = f" ({min(seconds):.2f} to {max(seconds):.2f}, {len(seconds)} runs)" if len(seconds) > 1 else ""
    print(f"{what}: {statistics.median(seconds):.2f} s{spread}", flush=True)


def _require(code: int) -> None:
    if code:
        raise SystemExit(f"a run that was to be measured failed with {code}")


if __name__ == "__main__":
    main()
