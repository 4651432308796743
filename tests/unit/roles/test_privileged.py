# SPDX-License-Identifier: GPL-3.0-or-later
"""Privileged containers of jobs and services are refused for a runner that does not ask for them by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core
from plays.play import Play
from test_package import all_decided, all_refused, host

pytestmark = pytest.mark.slow

SENTENCE = "dind of pi-01 has privileged containers (privileged or services_privileged of its docker section)"


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def runner(**docker: Any) -> dict[str, Any]:
    return {"name": "dind", "config": {"executor": "docker", "docker": {"image": "docker:cli", **docker}}}


REFUSED: dict[str, dict[str, Any]] = {
    "jobs": {"gitlab_runner_runners": [runner(privileged=True)]},
    "services": {"gitlab_runner_runners": [runner(services_privileged="true")]},
    "no": {"gitlab_runner_runners": [{**runner(services_privileged=True), "allow_privileged": False}]},
    "no, as a string": {"gitlab_runner_runners": [{**runner(privileged=True), "allow_privileged": "false"}]},
    "the defaults": {
        "gitlab_runner_runners": [runner()],
        "gitlab_runner_defaults": {
            "config": {"docker": {"privileged": True}},
            "gitlab": {"runner_type": "project_type", "project_id": 42},
        },
    },
}


def test_one_sentence_before_anything_is_touched(play: Play) -> None:
    cases = {name: (host(), {"gitlab_runner_deployment": "container", **options}) for name, options in REFUSED.items()}
    all_refused(play, cases, {name: [SENTENCE] for name in cases})


def test_what_is_no_problem(play: Play) -> None:
    runners: dict[str, dict[str, Any]] = {
        "asked for": {**runner(privileged=True), "allow_privileged": True},
        "asked for, as a string": {**runner(privileged=True), "allow_privileged": "yes"},
        "not privileged": runner(privileged=False, services_privileged=None),
        "without docker": {"name": "shell", "config": {"executor": "shell", "docker": None}},
    }
    cases = {name: (host(), {"gitlab_runner_runners": [each]}) for name, each in runners.items()}
    assert all_decided(play, cases, "privileged_runners") == {name: [[]] for name in cases}
