# SPDX-License-Identifier: GPL-3.0-or-later
"""warm_up_images of runners: what is pulled, before what, on which hosts at a time, and what a failure leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core, on_one_core
from plays.play import Play
from test_package import DOCKER, IMAGE, all_decided, all_refused, decided, host, installed

pytestmark = pytest.mark.slow

IMAGES = ["debian:bookworm", "docker:cli"]


def warm_up(*images: str) -> dict[str, Any]:
    """Two runners, of which the second has the images, and the first one of them."""
    return {
        "gitlab_runner_runners": [
            {**DOCKER, "warm_up_images": images[:1]},
            {**DOCKER, "name": "two", "warm_up_images": images},
        ]
    }


WARM_UP = warm_up(*IMAGES)


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def images(*present: str) -> dict[str, Any]:
    return {IMAGE: "sha256:1", **{name: "sha256:2" if name in present else None for name in IMAGES}}


def steps(play: Play, gathered: dict[str, Any], **options: Any) -> list[str]:
    """The task files that are included."""
    [found] = decided(play, gathered, "steps", **options)
    return [step[0] for step in found]


def test_what_is_missing_is_pulled_before_gitlab_runner_runs(play: Play) -> None:
    assert steps(play, host(images=images()), **WARM_UP) == ["warm_up.yml", "run.yml"]
    as_wanted = installed(play, images=images("docker:cli"))
    assert steps(play, as_wanted, **WARM_UP) == ["warm_up.yml"]
    [missing] = decided(play, as_wanted, "missing_images", **WARM_UP)
    assert missing == ["debian:bookworm"]


@on_one_core
def test_nothing_is_done_where_nothing_is_missing(play: Play) -> None:
    assert steps(play, installed(play, images=images(*IMAGES)), **WARM_UP) == []
    assert steps(play, installed(play)) == []


@on_one_core
def test_the_host_is_asked_for_the_images(play: Play) -> None:
    [asked] = decided(play, host(images=images()), "host_info", **WARM_UP, gitlab_runner_image=IMAGE)
    assert sorted(asked["images"]) == sorted([IMAGE, *IMAGES])


@on_one_core
def test_nothing_is_pulled_on_a_full_disk(play: Play) -> None:
    state = {"content": '{"message": "1 % is free."}', "mode": "0644"}
    full = host(images=images())
    full["files"] = {**full["files"], "/var/lib/pifleet-disk-space/state.json": state}
    assert steps(play, full, **WARM_UP) == ["no_space.yml"]


def test_a_pull_that_does_not_succeed(play: Play) -> None:
    results: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
        "pulled": ([{"item": "a", "rc": 0}], []),
        "refused": ([{"item": "a", "rc": 0}, {"item": "b", "rc": 1}], ["b"]),
        "not in time": ([{"item": "a", "failed": False, "msg": "async task did not complete"}], ["a"]),
    }
    cases = {
        name: (host(images=images()), {"_gitlab_runner_warm_up": {"results": found}})
        for name, (found, _failed) in results.items()
    }
    found = all_decided(play, cases, "pulls_failed")
    assert {name: [each["item"] for each in failed] for name, [failed] in found.items()} == {
        name: failed for name, (_found, failed) in results.items()
    }


@on_one_core
def test_one_sentence_before_anything_is_touched(play: Play) -> None:
    sentence = (
        "warm_up_images of a runner must have names of images, such as debian:bookworm, but has --all-tags debian"
    )
    options = warm_up("debian:bookworm", "--all-tags debian")
    all_refused(play, {"no name": (host(), options)}, {"no name": [sentence]})
