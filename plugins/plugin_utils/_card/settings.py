# SPDX-License-Identifier: GPL-3.0-or-later
"""What a card is given, and the sentences for what cannot be given. Pure: nothing is read or written here."""

from __future__ import annotations

import base64
import binascii
import re
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._card.countries import COUNTRIES
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.passwords import HASH
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.wifi import pre_shared_key

HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")  # RFC 1123, one label
USER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
LOCALE = re.compile(r"(C|[a-z]{2,3}_[A-Z]{2})\.UTF-8")
TIME_ZONE = re.compile(r"[A-Z][\w+-]*(/[A-Z][\w+-]*)*")
KEY_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
SSID_BYTES = 32
PASSPHRASE = re.compile(r"[ -~]{8,63}")  # IEEE 802.11: 8 to 63 printable ASCII characters
PSK = re.compile(r"[0-9A-Fa-f]{64}")


class CardSettingsError(Exception):
    """``problems`` has one sentence for each setting that is wrong. None of them shows a secret."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Wifi:
    """psk: 64 hexadecimal digits; the passphrase itself is written nowhere. country: ISO 3166-1 alpha-2."""

    ssid: str
    psk: str
    country: str
    hidden: bool


@dataclass(frozen=True)
class Settings:
    """Validated. password, password_hash: empty where there is none; the hash counts if both are set."""

    hostname: str
    user: str
    password: str
    password_hash: str
    passwordless_sudo: bool
    authorized_keys: tuple[str, ...]
    wifi: Wifi | None
    locale: str
    timezone: str


def settings_of(options: Mapping[str, Any]) -> Settings:
    """The settings out of the options of prepare_card. Raises CardSettingsError, which names all problems at once.

    A Wi-Fi without any value is none.
    """
    problems = list(_problems(options))
    if problems:
        raise CardSettingsError(problems)
    return Settings(
        hostname=options["hostname"],
        user=options["user"],
        password=options["password"],
        password_hash=options["password_hash"],
        passwordless_sudo=options["passwordless_sudo"],
        authorized_keys=tuple(key.strip() for key in options["authorized_keys"]),
        wifi=_wifi(options["wifi"]) if any(options["wifi"].values()) else None,
        locale=options["locale"],
        timezone=options["timezone"],
    )


def _wifi(wifi: Mapping[str, Any]) -> Wifi:
    psk = (wifi.get("psk") or pre_shared_key(wifi["ssid"], wifi["password"])).lower()
    return Wifi(ssid=wifi["ssid"], psk=psk, country=wifi["country"], hidden=bool(wifi.get("hidden")))


def _problems(options: Mapping[str, Any]) -> Iterator[str]:
    yield from _host_name_problems(options["hostname"])
    yield from _user_problems(options["user"])
    yield from _password_problems(options)
    if not options["authorized_keys"]:
        yield "card_authorized_keys is empty, and nobody could log in: give at least one SSH public key."
    for number, key in enumerate(options["authorized_keys"], start=1):
        problem = key_problem(key)
        if problem:
            yield f"card_authorized_keys: key {number} {problem}"
    if any(options["wifi"].values()):
        yield from _wifi_problems(options["wifi"])
    if options["locale"] and not LOCALE.fullmatch(options["locale"]):
        yield f"card_locale is {options['locale']!r}, which is no locale in UTF-8: give one such as en_GB.UTF-8."
    if options["timezone"] and not known_time_zone(options["timezone"]):
        yield (
            f"card_timezone is {options['timezone']!r}, which is no time zone: "
            "give one of `timedatectl list-timezones`, such as Europe/London."
        )


def _host_name_problems(hostname: str) -> Iterator[str]:
    if not HOST_NAME.fullmatch(hostname) or hostname.isdigit():
        yield (
            f"card_hostname is {hostname!r}, which is no host name: give 1 to 63 letters, digits and hyphens, not only "
            "digits and with no hyphen at either end (RFC 1123)."
        )


def _user_problems(user: str) -> Iterator[str]:
    if not user:
        yield "card_user is not set: give the user that Ansible connects as, here or as ansible_user."
    elif user == "root":
        yield "card_user is root: give the name of a user who becomes root with sudo."
    elif not USER_NAME.fullmatch(user):
        yield (
            f"card_user is {user!r}, which is no user name: give up to 32 lower-case letters, digits, hyphens and "
            "underscores that begin with a letter."
        )


def _password_problems(options: Mapping[str, Any]) -> Iterator[str]:
    if options["password_hash"] and not HASH.fullmatch(options["password_hash"]):
        yield (
            "card_password_hash is no hash that Debian's crypt takes ($6$, $5$ or $y$): "
            "make one with `openssl passwd -6`."
        )
    if not options["password_hash"] and not options["password"] and not options["passwordless_sudo"]:
        yield (
            "There is no password for sudo: give card_password_hash, card_password or ansible_become_password, or set "
            "card_passwordless_sudo."
        )
    if re.search(r"[\0-\x1f\x7f]", options["password"]):
        yield "card_password has a line break or another control character, which no login takes: give it without."


def key_problem(key: str) -> str:
    """What is wrong with an SSH public key, as the end of a sentence; empty if nothing is."""
    if "PRIVATE KEY" in key:
        return "is a private key: give the public one, the file that ends in .pub."
    if "\n" in key.strip() or "\r" in key.strip():
        return "has more than one line: give one element for each key."
    words = key.split()
    if len(words) < 2 or words[0] not in KEY_TYPES:
        return f"is no SSH public key: give a line that begins with its type, one of {', '.join(KEY_TYPES)}."
    if not key.strip().isprintable():
        return "has a character that cannot be printed: copy it again."
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error:
        blob = b""
    name = words[0].encode()
    if not blob.startswith(len(name).to_bytes(4, "big") + name) or len(blob) < len(name) + 4 + 32:
        return f"is damaged: what follows {words[0]} is not a key of that type."
    return ""


def _wifi_problems(wifi: Mapping[str, Any]) -> Iterator[str]:
    ssid, password, psk, country = (wifi.get(name) or "" for name in ("ssid", "password", "psk", "country"))
    size = len(ssid.encode())
    if not 1 <= size <= SSID_BYTES:
        yield f"card_wifi.ssid has {size} bytes: a network's name has 1 to {SSID_BYTES}."
    elif not ssid.isprintable():
        yield "card_wifi.ssid has a character that cannot be printed: give the network's name without it."
    if bool(password) == bool(psk):
        yield f"card_wifi has {'both' if psk else 'neither'} password {'and' if psk else 'nor'} psk: give one of them."
    elif psk and not PSK.fullmatch(psk):
        yield "card_wifi.psk is not 64 hexadecimal digits: take those of `wpa_passphrase`, or give the password."
    elif password and PSK.fullmatch(password):
        yield "card_wifi.password has 64 hexadecimal digits, which is a computed key: give it as card_wifi.psk."
    elif password and not PASSPHRASE.fullmatch(password):
        yield "card_wifi.password is not 8 to 63 printable ASCII characters, as WPA demands."
    if country not in COUNTRIES:
        hint = {"UK": "GB for the United Kingdom", "False": '"NO" in quotes for Norway'}.get(
            country, "two capital letters such as GB"
        )
        yield f"card_wifi.country is {country!r}, which is no country of ISO 3166: give {hint}."


def known_time_zone(name: str, available: Callable[[], set[str]] = zoneinfo.available_timezones) -> bool:
    """Whether there is such a time zone; where this machine has no list of them, whether it has the form of one."""
    names = available()
    return name in names if names else bool(TIME_ZONE.fullmatch(name))
