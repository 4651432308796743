# SPDX-License-Identifier: GPL-3.0-or-later
"""Privileged containers of jobs and services are refused for a runner that does not ask for them by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core
from plays.play import Play
from test_package import decided, host, refused

pytestmark = pytest.mark.slow

CONTAINER = {"gitlab_runner_deployment": "container"}
SENTENCE = "dind of pi-01 has privileged containers (privileged or services_privileged of its docker section)"


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def runner(**docker: Any) -> dict[str, Any]:
    return {"name": "dind", "config": {"executor": "docker", "docker": {"image": "docker:cli", **docker}}}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"gitlab_runner_runners": [runner(privileged=True)]}, id="jobs"),
        pytest.param({"gitlab_runner_runners": [runner(services_privileged="true")]}, id="services"),
        pytest.param({"gitlab_runner_runners": [{**runner(services_privileged=True), "allow_privileged": False}]},
                     id="no"),
        pytest.param({"gitlab_runner_runners": [runner()],
                      "gitlab_runner_defaults": {"config": {"docker": {"privileged": True}},
                                                 "gitlab": {"runner_type": "project_type", "project_id": 42}}},
                     id="the defaults"),
    ],
)  # fmt: skip
def test_one_sentence_before_anything_is_touched(play: Play, options: dict[str, Any]) -> None:
    assert SENTENCE in refused(play, host(), **CONTAINER, **options)


@pytest.mark.parametrize(
    "runners",
    [
        pytest.param([{**runner(privileged=True), "allow_privileged": True}], id="asked for"),
        pytest.param([runner(privileged=False, services_privileged=None)], id="not privileged"),
        pytest.param([{"name": "shell", "config": {"executor": "shell", "docker": None}}], id="without docker"),
    ],
)
def test_what_is_no_problem(play: Play, runners: list[dict[str, Any]]) -> None:
    [found] = decided(play, host(), "privileged_runners", gitlab_runner_runners=runners)
    assert found == []
