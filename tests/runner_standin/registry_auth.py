# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials for the registry of an image, from $DOCKER_AUTH_CONFIG of the job or from the file of `docker login`."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

_HUB = "docker.io"


def registry_auth(image: str, auth_config: str) -> str:
    """The value of the engine's header X-Registry-Auth, empty without credentials.

    auth_config: content of the job's variable. A file that cannot be read is none.
    """
    registry = registry_of(image)
    for content in (auth_config, _of_process()):
        for name, found in _auths(content).items():
            if _host(name) == registry and (login := _login(found)):
                user, _, password = login.partition(":")
                header = {"username": user, "password": password, "serveraddress": name}
                return base64.urlsafe_b64encode(json.dumps(header).encode()).decode()
    return ""


def registry_of(image: str) -> str:
    """`registry.example.com:5000/ci/image:tag` -> `registry.example.com:5000`; what has none is of Docker Hub."""
    first, slash, _ = image.partition("/")
    return first.lower() if slash and ("." in first or ":" in first or first == "localhost") else _HUB


def _of_process() -> str:
    home = os.environ.get("HOME") or str(Path.home())
    try:
        return (Path(home) / ".docker" / "config.json").read_text()
    except OSError:
        return ""


def _auths(content: str) -> dict[str, Any]:
    try:
        found = json.loads(content).get("auths", {})
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _host(name: str) -> str:
    host = name.partition("://")[2] or name
    host = host.partition("/")[0].lower()
    return _HUB if host == f"index.{_HUB}" else host


def _login(found: Any) -> str:
    if found.get("auth"):
        return base64.b64decode(found["auth"]).decode()
    return f"{found['username']}:{found['password']}" if found.get("username") else ""
