# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_registry_credentials: a file of the Pi that no fact and no message has the content of."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core, on_one_core
from plays.play import Play
from test_package import CONTAINER, DIRECTORY, DROP_IN, a_file, all_refused, decided, host, installed

pytestmark = pytest.mark.slow

REGISTRY = "registry.example.com:5000"
PATH = f"{DIRECTORY}/.registry-credentials/.docker/config.json"
LOGINS = {
    REGISTRY: {"username": "ci", "password": "secret: 1"},
    "docker.io": {"username": "hub", "password": "secret2"},
}
IN_CONTAINER = {"gitlab_runner_deployment": "container", "gitlab_runner_registry_credentials": LOGINS}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def auth(login: dict[str, str]) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()}


CONTENT = json.dumps(
    {"auths": {"https://index.docker.io/v1/": auth(LOGINS["docker.io"]), REGISTRY: auth(LOGINS[REGISTRY])}}
)
SHA256 = hashlib.sha256(CONTENT.encode()).hexdigest()


def decisions(play: Play, checksum: str | None, labels: dict[str, str], *names: str, **options: Any) -> list[Any]:
    gathered = host(containers={"gitlab-runner": {**CONTAINER, "labels": labels}}, checksums={PATH: checksum})
    return decided(play, gathered, *names, **{**IN_CONTAINER, **options})


def test_the_file_is_that_of_docker_login(play: Play) -> None:
    [content, home] = decided(play, host(), "docker_config_content", "container_settings", **IN_CONTAINER)
    assert content == CONTENT
    assert home == {"env": {"HOME": "/etc/gitlab-runner/.registry-credentials"}}


@on_one_core
def test_other_passwords_stop_nothing(play: Play) -> None:
    names = ("docker_config_differs", "run_differs", "disrupts")
    [labels] = decided(play, host(), "container_labels", **IN_CONTAINER)
    assert decisions(play, None, {}, *names) == [True, True, True], "the container gets another home directory"
    assert decisions(play, "0" * 64, labels, *names) == [True, True, False]
    assert decisions(play, SHA256, labels, *names) == [False, False, False]
    gone = {"gitlab_runner_registry_credentials": {}}
    assert decisions(play, SHA256, labels, *names, **gone) == [True, True, True]
    assert decisions(play, None, {}, *names, **gone) == [False, False, False]


@on_one_core
def test_the_unit_of_the_package_gets_the_home_directory(play: Play) -> None:
    names = ("drop_in_content", "disrupts")
    options = {"gitlab_runner_registry_credentials": LOGINS}
    [text, disrupts] = decided(play, installed(play), *names, **options)
    assert text.splitlines()[-1] == f"Environment=HOME={DIRECTORY}/.registry-credentials"
    assert disrupts
    with_it = installed(play, **{DROP_IN: a_file(text)})
    assert decided(play, with_it, *names, **options) == [text, False]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a URL": (
        {"https://registry.example.com": LOGINS[REGISTRY]}, "must be registries as they stand in names of images"
    ),
    "no password": (
        {REGISTRY: {"username": "ci"}}, f"needs a username and a password for {REGISTRY}, and nothing else"
    ),
    "more": (
        {REGISTRY: {**LOGINS[REGISTRY], "email": "x"}},
        f"needs a username and a password for {REGISTRY}, and nothing"
    ),
    "an empty password": (
        {REGISTRY: {**LOGINS[REGISTRY], "password": ""}}, f"needs a username and a password for {REGISTRY}"
    ),
    "no mapping": ({REGISTRY: "ci:secret"}, f"needs a username and a password for {REGISTRY}"),
}  # fmt: skip


def test_one_sentence_before_anything_is_touched(play: Play) -> None:
    cases = {name: (host(), {"gitlab_runner_registry_credentials": logins}) for name, (logins, _s) in REFUSED.items()}
    outcomes = all_refused(play, cases, {name: [sentence] for name, (_logins, sentence) in REFUSED.items()})
    assert [name for name, outcome in outcomes.items() if "secret" in outcome.output] == []
