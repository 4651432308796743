# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: what counts as good, and the figures of the last line."""

from __future__ import annotations

from typing import Any

import pytest
from load.report import Ended, Result, summary

WHOLE = Ended("pifleet.ci.site", 0, 90.0, killed=False, output="", pis=3)
KILLED = Ended("pifleet.ci.site", -9, 20.0, killed=True, output="", pis=0)
FAILED = Ended("pifleet.ci.site", 2, 30.0, killed=False, output="TASK [x] ***\nfatal: [pi-01]: FAILED!\nmore", pis=3)


def result(**changes: Any) -> Result:
    return Result(
        **{"mode": "container", "disturbance": "upgrade", "killed": False, "plays": [WHOLE], "jobs": 40, **changes}
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"lost": {"load-1": "is running for ever (script on pi-01, 3 s)\nits trace"}},
            "load-1 is running for ever (script on pi-01, 3 s)",
        ),
        ({"idle": ["pi-01 docker"]}, "take no job any more: pi-01 docker"),
        ({"missing": ["another image on pi-02"]}, "not brought about: another image on pi-02"),
        ({"plays": [KILLED, FAILED]}, "pifleet.ci.site failed with 2: fatal: [pi-01]: FAILED!"),
    ],
)
def test_what_is_not_good_says_why(changes: dict[str, Any], problem: str) -> None:
    assert not result(**changes).good
    assert list(result(**changes).problems) == [problem]


def test_a_play_that_was_killed_and_run_again_is_good() -> None:
    assert result(killed=True, plays=[KILLED, WHOLE]).good


def test_seconds_per_pi_are_those_of_the_answer_that_ended_by_itself() -> None:
    removal = Ended("pifleet.ci.remove", 0, 45.0, killed=False, output="", pis=1)
    assert result(plays=[removal, WHOLE]).seconds_per_pi == 45
    assert result(plays=[KILLED, WHOLE]).seconds_per_pi == 30
    assert result(plays=[KILLED]).seconds_per_pi is None


def test_the_sums() -> None:
    results = [result(drains=[3.0, 41.2]), result(jobs=2, lost={"load-1": "is running for ever"}, drains=[7.0])]
    *rows, last = summary(results).splitlines()
    assert last == "42 jobs, 1 lost, longest drain 41 s"
    assert rows[1].split() == ["container", "upgrade", "whole", "40", "0", "41", "s", "30"]
    assert summary([result(missing=["x on pi-01", "x on pi-02"])]).splitlines()[1].endswith("  2 not brought about")
    assert summary([]).splitlines()[-1] == "0 jobs, 0 lost, longest drain -"
