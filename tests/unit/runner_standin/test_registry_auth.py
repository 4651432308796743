# SPDX-License-Identifier: GPL-3.0-or-later
"""Which credentials GitLab Runner's stand-in sends to the engine for an image."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from runner_standin.registry_auth import registry_auth, registry_of

REGISTRY = "registry.example.com:5000"


def auths(**registries: str) -> str:
    """Of logins by registry."""
    found = {name: {"auth": base64.b64encode(login.encode()).decode()} for name, login in registries.items()}
    return json.dumps({"auths": found})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".docker").mkdir()
    return tmp_path / ".docker" / "config.json"


def user(image: str, auth_config: str = "") -> str | None:
    header = registry_auth(image, auth_config)
    return json.loads(base64.urlsafe_b64decode(header))["username"] if header else None


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("debian:bookworm", "docker.io"),
        ("library/debian", "docker.io"),
        ("localhost/x", "localhost"),
        (f"{REGISTRY}/ci/image:tag", REGISTRY),
        ("Registry.example.com/x@sha256:0", "registry.example.com"),
    ],
)
def test_the_registry_of_an_image(image: str, registry: str) -> None:
    assert registry_of(image) == registry


def test_the_file_of_docker_login(home: Path) -> None:
    home.write_text(auths(**{REGISTRY: "ci:secret", "https://index.docker.io/v1/": "hub:secret"}))
    assert user(f"{REGISTRY}/x") == "ci"
    assert user("debian") == "hub"
    assert user("other.example.com/x") is None


def test_the_variable_of_the_job_comes_first(home: Path) -> None:
    home.write_text(auths(**{REGISTRY: "ci:secret"}))
    assert user(f"{REGISTRY}/x", auths(**{REGISTRY: "job:secret"})) == "job"
    assert user(f"{REGISTRY}/x", auths(other="job:secret")) == "ci"


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"auths": {REGISTRY: {}}})])
def test_without_credentials(home: Path, content: str) -> None:
    home.write_text(content)
    assert registry_auth(f"{REGISTRY}/x", "") == ""
