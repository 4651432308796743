# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a card that are right, for tests that make one of them wrong."""

from __future__ import annotations

import base64
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._card.plan import FILES
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.settings import Settings, settings_of

PASSWORD = "correct horse battery staple"
HASH = "$6$saltsalt$" + "a" * 86
PSK = "0123456789abcdef" * 4
WIFI = {"ssid": "Workshop", "psk": PSK, "country": "GB", "hidden": False, "password": ""}
OPTIONS: dict[str, Any] = {
    "hostname": "pi-01",
    "user": "pi",
    "password": "",
    "password_hash": HASH,
    "passwordless_sudo": False,
    "wifi": {},
    "locale": "",
    "timezone": "",
}


def public_key(comment: str = "me@desk", kind: str = "ssh-ed25519") -> str:
    blob = len(kind).to_bytes(4, "big") + kind.encode() + (32).to_bytes(4, "big") + bytes(range(32))
    return f"{kind} {base64.b64encode(blob).decode()} {comment}".strip()


OPTIONS["authorized_keys"] = [public_key()]


def settings(**others: Any) -> Settings:
    return settings_of({**OPTIONS, **others})


def seen(files: dict[str, str]) -> dict[str, str | None]:
    return {name: files.get(name) for name in FILES}


def hashed(password: str, present: str) -> str:
    """In place of crypt, which takes a while: what is on the card is kept if it is of this password."""
    fresh = f"$6$fresh${password.encode().hex().ljust(86, '0')[:86]}"
    return present or fresh
