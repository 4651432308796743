# SPDX-License-Identifier: GPL-3.0-or-later
"""custom.toml, which init_config of Raspberry Pi OS bookworm applies at the first boot and removes.

https://github.com/RPi-Distro/raspberrypi-sys-mods/blob/bookworm/usr/lib/raspberrypi-sys-mods/init_config
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._card.documents import is_ours, mark
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.settings import Settings

CUSTOM_TOML = "custom.toml"
FIRST_BOOT = "init=/usr/lib/raspberrypi-sys-mods/firstboot"
"""The word of cmdline.txt that runs init_config. The first boot takes it out."""


def custom_toml(settings: Settings, password_hash: str) -> str:
    """A user without a password hash is locked."""
    sections: dict[str, dict[str, Any]] = {
        "system": {"hostname": settings.hostname},
        "user": {
            "name": settings.user,
            **({"password": password_hash, "password_encrypted": True} if password_hash else {}),
        },
        "ssh": {
            "enabled": True,
            "password_authentication": False,
            "authorized_keys": list(settings.authorized_keys),
        },
    }
    if settings.wifi:
        sections["wlan"] = {
            "ssid": settings.wifi.ssid,
            "password": settings.wifi.psk,
            "password_encrypted": True,
            "hidden": settings.wifi.hidden,
            "country": settings.wifi.country,
        }
    if settings.timezone:
        sections["locale"] = {"timezone": settings.timezone}
    lines = [mark(settings.hostname), "config_version = 1"]
    for name, values in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def custom_toml_problems(settings: Settings) -> Iterator[str]:
    """What the programs of the image cannot be given, each the end of a sentence that begins with the card."""
    if settings.locale:
        yield "reads custom.toml, which knows no locale: leave card_locale out, and set it with raspi-config."
    # The name is handed over as an argument, and written into a file in which these characters mean something.
    if settings.wifi and (re.search(r"[\\;\"']|^[\s-]|\s$", settings.wifi.ssid)):
        yield (
            "reads custom.toml, which takes no card_wifi.ssid with a quote, a backslash, a semicolon, a leading hyphen "
            "or a space at an end: use another network, or an image with cloud-init."
        )
    if any(re.search(r"[\\\"']", key) for key in settings.authorized_keys):
        yield "reads custom.toml: take quotes and backslashes out of the comments in card_authorized_keys."


def password_hash_of(text: str | None) -> str:
    """The hash in a custom.toml of ours, else empty."""
    if not text or not is_ours(text):
        return ""
    return str(tomllib.loads(text).get("user", {}).get("password", ""))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return f'"{value}"'  # custom_toml_problems leaves nothing that would have to be escaped
