# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents that cloud-init reads from the boot partition: https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html

Raspberry Pi OS has it since its trixie images of the end of 2025, Ubuntu's images for the Pi since ever.
"""

from __future__ import annotations

import hashlib
from typing import Any

import yaml
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.documents import is_ours, mark
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.settings import Settings

USER_DATA = "user-data"
META_DATA = "meta-data"
NETWORK_CONFIG = "network-config"

FACTORY_USER_DATA: tuple[Any, ...] = (
    None,  # Raspberry Pi OS: comments only
    {"chpasswd": {"expire": True, "list": ["ubuntu:ubuntu"]}},  # Ubuntu 22.04
    {"chpasswd": {"expire": True, "users": [{"name": "ubuntu", "password": "ubuntu", "type": "text"}]}},  # Ubuntu 24.04
)
"""Without ssh_pwauth, which is there as well, true or false."""
_UBUNTU = {"version": 2, "ethernets": {"eth0": {"dhcp4": True, "optional": True}}}
FACTORY_NETWORK_CONFIG: tuple[Any, ...] = (None, _UBUNTU, {"network": _UBUNTU})
FACTORY_META_DATA = {"dsmode", "instance_id", "instance-id"}
"""The keys of the meta-data of images. Raspberry Pi OS writes instance_id, which cloud-init does not read."""

# An image of Raspberry Pi OS blocks Wi-Fi until its country is set, and raspi-config is what lifts that for good.
_WIFI = "if command -v raspi-config; then raspi-config nonint do_wifi_country {country}; fi"
# The boot partition can be read by every user of the Pi. cloud-init keeps its own copy, for root alone.
_FORGET = r"sed -i '/^ *hashed_passwd: /d' /boot/firmware/user-data"


def user_data(settings: Settings, password_hash: str) -> str:
    """The host name, the user who may log in with the keys, and SSH.

    ``user`` extends the image's own default user, whose groups it keeps; ``users`` would make one without. Its ``sudo``
    would come along, and asks for no password: null takes it away.
    """
    sudo = "ALL=(ALL) NOPASSWD:ALL" if settings.passwordless_sudo else None
    user: dict[str, Any] = {
        "name": settings.user,
        "shell": "/bin/bash",
        "lock_passwd": not password_hash,
        # not passwd, which is left out for a user that the image has already
        **({"hashed_passwd": password_hash} if password_hash else {}),
        "ssh_authorized_keys": list(settings.authorized_keys),
        "sudo": sudo,
    }
    commands: list[list[str]] = [["systemctl", "enable", "--now", "ssh"]]  # off in Raspberry Pi OS
    if settings.wifi:
        commands.append(["sh", "-c", _WIFI.format(country=settings.wifi.country)])
    if password_hash:
        commands.append(["sh", "-c", _FORGET])
    document: dict[str, Any] = {
        "hostname": settings.hostname,
        # only the line of the host's own name; true would rewrite all of /etc/hosts at every boot
        "manage_etc_hosts": "localhost",
        "user": user,
        "ssh_pwauth": False,
        **_locale(settings.locale),
        **({"timezone": settings.timezone} if settings.timezone else {}),
        "runcmd": commands,
    }
    return f"#cloud-config\n{mark(settings.hostname)}\n{_yaml(document)}"


def _locale(locale: str) -> dict[str, Any]:
    """cloud-init runs locale-gen with the locale as argument, which Debian's, unlike Ubuntu's, does not look at."""
    if not locale:
        return {}
    listed = {"path": "/etc/locale.gen", "content": f"{locale} UTF-8\n", "append": True}
    return {"locale": locale, **({} if locale.startswith("C.") else {"write_files": [listed]})}


def network_config(settings: Settings) -> str:
    """DHCP by wire, and by Wi-Fi where it is set."""
    addresses = {"dhcp4": True, "dhcp6": True, "optional": True}  # without dhcp6 netplan turns IPv6 off
    document: dict[str, Any] = {"version": 2, "ethernets": {"eth0": dict(addresses)}}
    if settings.wifi:
        access_point: dict[str, Any] = {"password": settings.wifi.psk}
        if settings.wifi.hidden:
            access_point["hidden"] = True
        document["wifis"] = {
            "wlan0": {
                **addresses,
                "regulatory-domain": settings.wifi.country,
                "access-points": {settings.wifi.ssid: access_point},
            }
        }
    return f"{mark(settings.hostname)}\n{_yaml({'network': document})}"


def meta_data(settings: Settings, *documents: str) -> str:
    """An instance of its own for each content: what is new to a system is applied, also on a cloned card."""
    digest = hashlib.sha256("\0".join(documents).encode()).hexdigest()[:12]
    document = {"dsmode": "local", "instance-id": f"pifleet-{settings.hostname}-{digest}"}
    return f"{mark(settings.hostname)}\n{_yaml(document)}"


def password_hash_of(text: str | None) -> str:
    """The hash in a user-data of ours, else empty."""
    if not text or not is_ours(text):
        return ""
    document = _parsed(text)
    user = document.get("user") if isinstance(document, dict) else None
    return str(user.get("hashed_passwd", "")) if isinstance(user, dict) else ""


def may_be_replaced(name: str, text: str | None) -> bool:
    """Whether the document is ours, or the one that the image came with."""
    if text is None or is_ours(text):
        return True
    try:
        document = _parsed(text)
    except yaml.YAMLError:
        return False
    if name == META_DATA:
        return document is None or (isinstance(document, dict) and set(document) <= FACTORY_META_DATA)
    if name == NETWORK_CONFIG:
        return document in FACTORY_NETWORK_CONFIG
    if isinstance(document, dict):
        document.pop("ssh_pwauth", None)
    return document in FACTORY_USER_DATA


def _parsed(text: str) -> Any:
    return yaml.safe_load(text)


def _yaml(document: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False, width=100_000)
    return text
