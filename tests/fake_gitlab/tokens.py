# SPDX-License-Identifier: GPL-3.0-or-later
"""Random tokens in the formats that GitLab releases have issued."""

from __future__ import annotations

import base64
import secrets
from typing import Literal

TokenStyle = Literal["infixed", "classic", "routable", "prefixed"]

_INFIX = {"instance_type": "t1_", "group_type": "t2_", "project_type": "t3_"}


def runner_token(style: TokenStyle, runner_type: str) -> str:
    """An authentication token of a runner created by a user. `prefixed` has the instance's own token prefix."""
    if style == "classic":
        return f"glrt-{_random()}"
    if style == "routable" and runner_type != "instance_type":
        return f"glrt-{_routable()}"
    token = f"glrt-{_INFIX[runner_type]}{_random()}"
    return f"acme-{token}" if style == "prefixed" else token


def registered_runner_token(style: TokenStyle, runner_type: str) -> str:
    """An authentication token of a runner registered with a registration token."""
    if style == "routable" and runner_type != "instance_type":
        return f"glrtr-{_routable()}"
    return f"glrtr-{_INFIX[runner_type]}{_random()}"


def registration_token() -> str:
    return f"GR1348941{_random()}"


def personal_access_token() -> str:
    return f"glpat-{_random()}"


def job_token() -> str:
    return f"glcbt-64_{_random()}"


def _routable() -> str:
    """A routable token's payload, which identifies the owner, then version, payload length and checksum."""
    payload = base64.urlsafe_b64encode(secrets.token_bytes(30)).decode().rstrip("=")
    return f"{payload}.01.{len(payload):02x}{secrets.token_hex(4)[:7]}"


def _random() -> str:
    return secrets.token_urlsafe(15)
