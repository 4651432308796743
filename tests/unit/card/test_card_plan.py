# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is on a boot partition to the files that are written."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.plan import CardError, Change, plan
from card_fixtures import HASH, PASSWORD, PSK, WIFI, hashed, seen, settings
from card_image import BOOKWORM, TRIXIE, UBUNTU

REGDOM = "cfg80211.ieee80211_regdom=GB"


def planned(
    files: dict[str, str], wanted: str = "auto", *, replace: bool = False, **options: Any
) -> tuple[str, list[Change]]:
    return plan(seen(files), settings(**options), wanted, hashed=hashed, replace=replace)


def after(files: dict[str, str], **options: Any) -> dict[str, str]:
    return {**files, **{change.name: change.after for change in planned(files, **options)[1]}}


@pytest.mark.parametrize(
    ("files", "wifi", "chosen", "written"),
    [
        (BOOKWORM, {}, "custom_toml", ["custom.toml"]),
        (BOOKWORM, WIFI, "custom_toml", ["cmdline.txt", "custom.toml"]),
        (TRIXIE, {}, "cloud_init", ["user-data", "meta-data"]),
        (TRIXIE, WIFI, "cloud_init", ["cmdline.txt", "network-config", "user-data", "meta-data"]),
        (UBUNTU, WIFI, "cloud_init", ["cmdline.txt", "network-config", "user-data", "meta-data"]),
    ],
)
def test_the_image_tells_what_it_reads(
    files: dict[str, str], wifi: dict[str, Any], chosen: str, written: list[str]
) -> None:
    found, changes = planned(files, wifi=wifi)
    assert found == chosen
    assert [change.name for change in changes] == written
    assert {change.name for change in changes if not change.private} == {"cmdline.txt"} & set(written)


@pytest.mark.parametrize("files", [BOOKWORM, TRIXIE, UBUNTU], ids=["bookworm", "trixie", "ubuntu"])
@pytest.mark.parametrize("wifi", [{}, WIFI], ids=["wired", "wifi"])
def test_a_second_run_changes_nothing(files: dict[str, str], wifi: dict[str, Any]) -> None:
    options: dict[str, Any] = {"wifi": wifi, "password": PASSWORD, "password_hash": ""}
    assert planned(after(files, **options), **options)[1] == []


def test_only_the_word_is_added_to_cmdline() -> None:
    assert after(TRIXIE, wifi=WIFI)["cmdline.txt"] == TRIXIE["cmdline.txt"].rstrip("\n") + f" {REGDOM}\n"


def test_the_same_card_for_another_host() -> None:
    other = after(after(TRIXIE), hostname="pi-02")
    assert "pi-01" not in other["user-data"] + other["meta-data"]


def test_wifi_that_is_taken_out_again_leaves_the_card() -> None:
    assert PSK not in str(after(after(TRIXIE, wifi=WIFI)))


def test_the_network_config_of_the_image_stays_without_wifi() -> None:
    assert after(UBUNTU)["network-config"] == UBUNTU["network-config"]


def test_a_card_without_cmdline() -> None:
    files = {name: text for name, text in UBUNTU.items() if name != "cmdline.txt"}
    assert "cmdline.txt" not in after(files, wifi=WIFI)


@pytest.mark.parametrize(
    ("files", "wanted", "sentence"),
    [
        ({}, "auto", "no boot partition"),
        ({"user-data": ""}, "cloud_init", "no boot partition"),
        ({"config.txt": "", "cmdline.txt": "root=/dev/x"}, "auto", "has been booted before"),
        ({"config.txt": "", "cmdline.txt": "root=/dev/x"}, "custom_toml", "has been booted before"),
        ({**TRIXIE, "firstrun.sh": ""}, "auto", "has firstrun.sh, another way"),
        ({**TRIXIE, "userconf.txt": ""}, "auto", "has userconf.txt, another way"),
        ({**TRIXIE, "rpi-preseed.toml": ""}, "auto", "has rpi-preseed.toml, another way"),
        ({**TRIXIE, "custom.toml": ""}, "auto", "has custom.toml, another way"),
        (
            {**BOOKWORM, "cmdline.txt": BOOKWORM["cmdline.txt"][:-1] + " systemd.run=/boot/x"},
            "auto",
            "systemd.run in cmd",
        ),
        (
            {**TRIXIE, "user-data": "#cloud-config\nhostname: mine\n"},
            "auto",
            "has a user-data that somebody else wrote",
        ),
        ({**TRIXIE, "meta-data": "local-hostname: mine\n"}, "auto", "has a meta-data that somebody else wrote"),
        ({**BOOKWORM, "custom.toml": "config_version = 1\n"}, "auto", "has a custom.toml that somebody else wrote"),
    ],
)
def test_what_is_refused(files: dict[str, str], wanted: str, sentence: str) -> None:
    with pytest.raises(CardError, match=sentence):
        planned(files, wanted)


def test_a_network_of_somebody_else_is_refused_only_where_it_would_be_replaced() -> None:
    files = {**TRIXIE, "network-config": "version: 2\nethernets: {eth0: {addresses: [10.0.0.2/24]}}\n"}
    assert after(files)["network-config"] == files["network-config"]
    with pytest.raises(CardError, match="has a network-config that somebody else wrote"):
        planned(files, wifi=WIFI)


def test_what_somebody_else_wrote_is_replaced_where_that_is_asked_for() -> None:
    files = {**TRIXIE, "user-data": "#cloud-config\nhostname: mine\n"}
    assert [change.name for change in planned(files, replace=True)[1]] == ["user-data", "meta-data"]


def test_a_broken_cmdline_is_refused() -> None:
    with pytest.raises(CardError, match="cannot be booted from: cmdline"):
        planned({**TRIXIE, "cmdline.txt": "a\nb\n"}, wifi=WIFI)


def test_bookworm_has_no_locale() -> None:
    with pytest.raises(CardError, match="card_locale"):
        planned(BOOKWORM, locale="en_GB.UTF-8")


def test_a_diff_shows_the_words_of_cmdline_and_no_secret() -> None:
    diffs = {change.name: change.diff for change in planned(TRIXIE, wifi=WIFI)[1]}
    assert diffs["cmdline.txt"]["before"] == TRIXIE["cmdline.txt"]
    assert REGDOM in diffs["cmdline.txt"]["after"]
    assert "hostname: pi-01" in diffs["user-data"]["after"]
    assert HASH not in str(diffs)
    assert PSK not in str(diffs)
