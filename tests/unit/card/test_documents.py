# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the documents is what their readers read: YAML for cloud-init, TOML for Raspberry Pi OS bookworm."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import toml
import yaml
from ansible_collections.pifleet.ci.plugins.plugin_utils._card import cloud_init, custom_toml
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.documents import is_ours, shown
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.settings import Settings
from card_fixtures import HASH, PSK, WIFI, public_key, settings
from card_image import TRIXIE, UBUNTU
from hypothesis import given
from hypothesis import strategies as st

PRINTABLE = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=30)
SSIDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=32).filter(
    lambda text: text.isprintable() and len(text.encode()) <= 32
)
WIFIS = st.builds(
    lambda ssid, hidden, country: {**WIFI, "ssid": ssid, "hidden": hidden, "country": country},
    SSIDS, st.booleans(), st.sampled_from(["GB", "NO", "DE", "US"]),
)  # fmt: skip
SETTINGS = st.builds(
    settings,
    hostname=st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True),
    user=st.sampled_from(["pi", "on", "null", "ci-runner", "a_b"]),  # two of them mean something in YAML
    password_hash=st.sampled_from([HASH, ""]),
    passwordless_sudo=st.just(True),
    authorized_keys=st.lists(PRINTABLE.map(public_key), min_size=1, max_size=3),
    wifi=st.one_of(st.just({}), WIFIS),
    timezone=st.sampled_from(["", "Europe/London"]),
)


@given(SETTINGS)
def test_user_data(given_settings: Settings) -> None:
    document: Any = yaml.safe_load(cloud_init.user_data(given_settings, given_settings.password_hash))
    assert document["hostname"] == given_settings.hostname
    assert document["user"]["name"] == given_settings.user
    assert document["user"]["ssh_authorized_keys"] == list(given_settings.authorized_keys)
    assert document["user"].get("hashed_passwd", "") == given_settings.password_hash
    assert document["user"]["lock_passwd"] == (not given_settings.password_hash)
    assert document.get("timezone", "") == given_settings.timezone


@given(SETTINGS)
def test_the_hash_on_the_card_is_found_again(given_settings: Settings) -> None:
    found = given_settings.password_hash
    assert cloud_init.password_hash_of(cloud_init.user_data(given_settings, found)) == found
    assert custom_toml.password_hash_of(custom_toml.custom_toml(settings(), found)) == found


@given(WIFIS)
def test_network_config(wifi: dict[str, Any]) -> None:
    document: Any = yaml.safe_load(cloud_init.network_config(settings(wifi=wifi)))["network"]
    assert document["ethernets"]["eth0"] == {"dhcp4": True, "dhcp6": True, "optional": True}
    wlan = document["wifis"]["wlan0"]
    assert wlan["regulatory-domain"] == wifi["country"]
    assert wlan["access-points"] == {wifi["ssid"]: {"password": PSK, **({"hidden": True} if wifi["hidden"] else {})}}


@given(SETTINGS)
def test_custom_toml(given_settings: Settings) -> None:
    """With the standard's parser, and with the one that the image reads it with."""
    if list(custom_toml.custom_toml_problems(given_settings)):
        return
    text = custom_toml.custom_toml(given_settings, given_settings.password_hash)
    document = tomllib.loads(text)
    assert toml.loads(text) == document
    assert document["config_version"] == 1
    assert document["system"] == {"hostname": given_settings.hostname}
    assert document["user"]["name"] == given_settings.user
    assert document["user"].get("password", "") == given_settings.password_hash
    assert document["ssh"]["authorized_keys"] == list(given_settings.authorized_keys)
    wifi = given_settings.wifi
    assert document.get("wlan", {}).get("ssid") == (wifi and wifi.ssid)
    assert document.get("locale", {}).get("timezone", "") == given_settings.timezone


@pytest.mark.parametrize("ssid", ['a"b', "a\\b", "a;b", "-h", " a", "a ", "it's"])
def test_what_the_programs_of_bookworm_do_not_take(ssid: str) -> None:
    (problem,) = custom_toml.custom_toml_problems(settings(wifi={**WIFI, "ssid": ssid}))
    assert "card_wifi.ssid" in problem


def test_the_locale_and_quotes_in_keys_are_not_for_bookworm() -> None:
    (problem,) = custom_toml.custom_toml_problems(settings(locale="en_GB.UTF-8"))
    assert "card_locale" in problem
    (problem,) = custom_toml.custom_toml_problems(settings(authorized_keys=[public_key('"me"')]))
    assert "card_authorized_keys" in problem


def test_sudo_asks_for_the_password_although_the_images_default_user_need_not_give_one() -> None:
    user: Any = yaml.safe_load(cloud_init.user_data(settings(), HASH))["user"]
    assert user["sudo"] is None
    free: Any = yaml.safe_load(cloud_init.user_data(settings(passwordless_sudo=True), ""))["user"]
    assert free["sudo"] == "ALL=(ALL) NOPASSWD:ALL"
    assert "hashed_passwd" not in free


def test_a_locale_is_made_before_it_is_set() -> None:
    document: Any = yaml.safe_load(cloud_init.user_data(settings(locale="de_DE.UTF-8"), HASH))
    assert document["locale"] == "de_DE.UTF-8"
    assert document["write_files"] == [{"path": "/etc/locale.gen", "content": "de_DE.UTF-8 UTF-8\n", "append": True}]
    assert "write_files" not in yaml.safe_load(cloud_init.user_data(settings(locale="C.UTF-8"), HASH))


def test_the_instance_is_another_one_exactly_if_a_document_is() -> None:
    one, two = cloud_init.meta_data(settings(), "a", "b"), cloud_init.meta_data(settings(), "a", "c")
    assert one == cloud_init.meta_data(settings(), "a", "b")
    assert one != two
    assert yaml.safe_load(one)["instance-id"].startswith("pifleet-pi-01-")


@pytest.mark.parametrize("files", [TRIXIE, UBUNTU], ids=["raspberry-pi-os", "ubuntu"])
@pytest.mark.parametrize("name", [cloud_init.USER_DATA, cloud_init.META_DATA, cloud_init.NETWORK_CONFIG])
def test_the_documents_of_images_may_be_replaced(files: dict[str, str], name: str) -> None:
    assert not is_ours(files[name])
    assert cloud_init.may_be_replaced(name, files[name])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (cloud_init.USER_DATA, "#cloud-config\nhostname: mine\n"),
        (cloud_init.USER_DATA, "#cloud-config\nbroken: [\n"),
        (cloud_init.USER_DATA, "#!/bin/sh\nreboot\n"),
        (cloud_init.USER_DATA, UBUNTU["user-data"] + "hostname: mine\n"),
        (cloud_init.NETWORK_CONFIG, "version: 2\nwifis: {}\n"),
        (cloud_init.META_DATA, "instance-id: x\nlocal-hostname: mine\n"),
        (cloud_init.META_DATA, "- 1\n"),
    ],
)
def test_the_documents_of_people_may_not(name: str, text: str) -> None:
    assert not cloud_init.may_be_replaced(name, text)


def test_what_is_shown_has_no_secret() -> None:
    with_wifi = settings(wifi=WIFI)
    documents = [
        cloud_init.user_data(with_wifi, HASH),
        cloud_init.network_config(with_wifi),
        custom_toml.custom_toml(with_wifi, HASH),
    ]
    for text in documents:
        assert HASH in text or PSK in text
        assert HASH not in shown(text)
        assert PSK not in shown(text)
        assert "(secret)" in shown(text)
    assert shown("#cloud-config\nchpasswd: {list: ['pi:secret']}\n") == "(not written by pifleet.ci)\n"
