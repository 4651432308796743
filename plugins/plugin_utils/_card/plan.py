# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is on a boot partition and the settings to the files that are written. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.pifleet.ci.plugins.module_utils._cmdline import CmdlineError, has_word, with_parameter
from ansible_collections.pifleet.ci.plugins.plugin_utils._card import cloud_init, custom_toml
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.documents import is_ours, shown
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.settings import Settings

AUTO, CLOUD_INIT, CUSTOM_TOML = "auto", "cloud_init", "custom_toml"
FORMATS = (AUTO, CLOUD_INIT, CUSTOM_TOML)

CMDLINE = "cmdline.txt"
OTHERS = ("firstrun.sh", "userconf.txt", "userconf", "rpi-preseed.toml")
"""Files of other ways to set up a first boot. Two of them on one card: what comes out depends on their order."""
FILES = (
    CMDLINE,
    "config.txt",
    cloud_init.USER_DATA,
    cloud_init.META_DATA,
    cloud_init.NETWORK_CONFIG,
    custom_toml.CUSTOM_TOML,
    *OTHERS,
)
"""What is read of a boot partition."""
REGULATORY_DOMAIN = "cfg80211.ieee80211_regdom"

Seen = Mapping[str, str | None]
"""The text of each of FILES, None for one that is not there."""


class CardError(Exception):
    """One sentence; nothing was written."""


@dataclass(frozen=True)
class Change:
    """private: whether the content is a secret that others than the owner must not read."""

    name: str
    before: str | None
    after: str
    private: bool

    @property
    def diff(self) -> dict[str, str]:
        before, after = (self.before or "", self.after) if not self.private else (shown(self.before), shown(self.after))
        before, after = (text.encode(errors="replace").decode() for text in (before, after))
        return {"before_header": self.name, "after_header": self.name, "before": before, "after": after}


def format_of(seen: Seen, wanted: str) -> str:
    """Which documents the system on the card reads. The image tells by what it has for them; issue.txt has a date only.

    Raises CardError.
    """
    if seen[CMDLINE] is None and seen["config.txt"] is None:
        raise CardError(
            "has neither cmdline.txt nor config.txt, so it is no boot partition of a Raspberry Pi: "
            "name the partition that is called bootfs or system-boot."
        )
    first_boot = has_word(seen[CMDLINE] or "", custom_toml.FIRST_BOOT)
    if wanted != AUTO:
        if wanted == CUSTOM_TOML and not first_boot:
            raise CardError("has been booted before, or its system does not read custom.toml: flash the card again.")
        return wanted
    if seen[cloud_init.USER_DATA] is not None or seen[cloud_init.META_DATA] is not None:
        return CLOUD_INIT
    if first_boot:
        return CUSTOM_TOML
    raise CardError(
        "has no user-data for cloud-init, nor a first boot that reads custom.toml: the card has been booted before, or "
        "its system is none that is known; flash it again, or set card_format."
    )


def plan(
    seen: Seen, settings: Settings, wanted: str, *, hashed: Callable[[str, str], str], replace: bool = False
) -> tuple[str, list[Change]]:
    """The format, and the files that differ in the order in which they are to be written.

    hashed: makes the hash of a password, given the one on the card. replace: also documents that somebody else wrote.
    Raises CardError.
    """
    chosen = format_of(seen, wanted)
    _refuse_second_mechanism(seen, chosen)
    present = (
        cloud_init.password_hash_of(seen[cloud_init.USER_DATA])
        if chosen == CLOUD_INIT
        else custom_toml.password_hash_of(seen[custom_toml.CUSTOM_TOML])
    )
    password_hash = settings.password_hash or (hashed(settings.password, present) if settings.password else "")
    documents = (_cloud_init if chosen == CLOUD_INIT else _custom_toml)(seen, settings, password_hash)
    if not replace:
        _refuse_foreign(seen, documents)
    files = {**_cmdline(seen, settings), **documents}
    changes = [
        Change(name, before=seen[name], after=text, private=name != CMDLINE)
        for name, text in files.items()
        if seen[name] != text
    ]
    return chosen, changes


def _refuse_second_mechanism(seen: Seen, chosen: str) -> None:
    unread = custom_toml.CUSTOM_TOML if chosen == CLOUD_INIT else cloud_init.USER_DATA
    found = [name for name in (*OTHERS, unread) if seen[name] is not None]
    if has_word(seen[CMDLINE] or "", "systemd.run="):
        found.append("systemd.run in cmdline.txt")
    if found:
        raise CardError(
            f"has {' and '.join(found)}, another way to set up the first boot, as Raspberry Pi Imager writes it: "
            "flash the card again without its settings."
        )


def _cloud_init(seen: Seen, settings: Settings, password_hash: str) -> dict[str, str]:
    """meta-data comes last: with it cloud-init takes the rest for new."""
    user_data = cloud_init.user_data(settings, password_hash)
    network: dict[str, str] = {}
    present = seen[cloud_init.NETWORK_CONFIG]
    if settings.wifi or (present is not None and is_ours(present)):
        network = {cloud_init.NETWORK_CONFIG: cloud_init.network_config(settings)}
    meta_data = cloud_init.meta_data(settings, user_data, *network.values())
    return {**network, cloud_init.USER_DATA: user_data, cloud_init.META_DATA: meta_data}


def _custom_toml(seen: Seen, settings: Settings, password_hash: str) -> dict[str, str]:
    del seen
    for problem in custom_toml.custom_toml_problems(settings):
        raise CardError(problem)
    return {custom_toml.CUSTOM_TOML: custom_toml.custom_toml(settings, password_hash)}


def _refuse_foreign(seen: Seen, documents: Mapping[str, str]) -> None:
    for name in documents:
        text = seen[name]
        ours = text is None or is_ours(text)
        if not ours and not (name != custom_toml.CUSTOM_TOML and cloud_init.may_be_replaced(name, text)):
            raise CardError(
                f"has a {name} that somebody else wrote: take it away, or set card_replace to have it replaced."
            )


def _cmdline(seen: Seen, settings: Settings) -> dict[str, str]:
    """The country of the Wi-Fi counts from the first moment on, before any program has set it."""
    text = seen[CMDLINE]
    if text is None or settings.wifi is None:
        return {}
    try:
        return {CMDLINE: with_parameter(text, REGULATORY_DOMAIN, settings.wifi.country)}
    except CmdlineError as error:
        raise CardError(f"cannot be booted from: {error}: flash the card again.") from None
