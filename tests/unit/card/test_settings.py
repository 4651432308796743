# SPDX-License-Identifier: GPL-3.0-or-later
"""Each wrong setting gets a sentence that names it and shows no secret."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.countries import COUNTRIES
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.settings import (
    CardSettingsError,
    key_problem,
    known_time_zone,
    settings_of,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.wifi import pre_shared_key
from card_fixtures import OPTIONS, PSK, WIFI, public_key, settings


def problems(**others: Any) -> list[str]:
    with pytest.raises(CardSettingsError) as caught:
        settings_of({**OPTIONS, **others})
    return caught.value.problems


@pytest.mark.parametrize("name", ["pi-01", "a", "PI", "3d", "x" * 63])
def test_host_names(name: str) -> None:
    assert settings(hostname=name).hostname == name


@pytest.mark.parametrize("name", ["", "-pi", "pi-", "pi_01", "pi.example.com", "192", "x" * 64, "pi 01", "pí", "pi\n"])
def test_wrong_host_names(name: str) -> None:
    (problem,) = problems(hostname=name)
    assert problem.startswith(f"card_hostname is {name!r}, which is no host name")


@pytest.mark.parametrize("name", ["", "root", "Pi", "1pi", "pi user", "x" * 33, "pi:x", "pi\n"])
def test_wrong_user_names(name: str) -> None:
    (problem,) = problems(user=name)
    assert problem.startswith("card_user is ")


def test_a_password_or_a_decision_against_it_is_needed() -> None:
    assert "no password for sudo" in problems(password_hash="")[0]
    assert settings(password_hash="", passwordless_sudo=True)
    assert settings(password_hash="", password="x")


@pytest.mark.parametrize("wrong", ["hunter2", "$1$abc$def", "$6$salt$short", "*", "$6$salt$" + "a" * 86 + "\n"])
def test_wrong_hashes_are_not_shown(wrong: str) -> None:
    (problem,) = problems(password_hash=wrong)
    assert problem.startswith("card_password_hash ")
    assert wrong not in problem


@pytest.mark.slow
@pytest.mark.parametrize("method", ["-6", "-5"])
def test_hashes_of_openssl(method: str) -> None:
    made = subprocess.run(["openssl", "passwd", method, "secret"], capture_output=True, text=True, check=True)
    assert settings(password_hash=made.stdout.strip())


def test_yescrypt_as_debian_writes_it() -> None:
    assert settings(password_hash="$y$j9T$teBQF20fiZEV5K3NZbwZ30$kIlVP6po2p43KH17C/26cmDN1i./cQriWj9Wp4rSHq2")


def test_control_characters_in_a_password() -> None:
    (problem,) = problems(password="sec\nret")
    assert problem.startswith("card_password has a line break")
    assert "sec" not in problem.removeprefix("card_password")


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_of_ssh_keygen(kind: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(key), "-C", "a b c"], check=True)
    assert key_problem(key.with_suffix(".pub").read_text()) == ""
    assert key_problem(key.read_text()).startswith("is a private key")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ssh-ed25519",
        "AAAA me",
        "ssh-dss AAAA",
        public_key()[:-30],
        public_key().replace("AAAA", "BBBB"),
        public_key() + "\n" + public_key(),
        public_key("a\tb"),
        public_key(kind="ssh-rsa").replace("ssh-rsa", "ssh-ed25519"),
    ],
)
def test_wrong_keys(key: str) -> None:
    (problem,) = problems(authorized_keys=[public_key(), key])
    assert problem.startswith("card_authorized_keys: key 2 ")


def test_no_key_at_all() -> None:
    assert problems(authorized_keys=[])[0].startswith("card_authorized_keys is empty")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"ssid": ""}, "card_wifi.ssid has 0 bytes"),
        ({"ssid": "ü" * 17}, "card_wifi.ssid has 34 bytes"),
        ({"ssid": "a\nb"}, "card_wifi.ssid has a character"),
        ({"psk": ""}, "card_wifi has neither password nor psk"),
        ({"password": "x" * 8}, "card_wifi has both password and psk"),
        ({"psk": "0" * 63}, "card_wifi.psk is not 64"),
        ({"psk": "", "password": "0" * 64}, "card_wifi.password has 64 hexadecimal digits"),
        ({"psk": "", "password": "1234567"}, "card_wifi.password is not 8 to 63"),
        ({"psk": "", "password": "x" * 64}, "card_wifi.password is not 8 to 63"),
        ({"psk": "", "password": "ümlauts-there"}, "card_wifi.password is not 8 to 63"),
        ({"country": "UK"}, "card_wifi.country is 'UK', which is no country of ISO 3166: give GB for"),
        ({"country": "False"}, "card_wifi.country is 'False', which is no country of ISO 3166: give \"NO\" in quotes"),
        ({"country": "gb"}, "card_wifi.country is 'gb'"),
        ({"country": ""}, "card_wifi.country is ''"),
    ],
)
def test_wrong_wifi(wrong: dict[str, str], sentence: str) -> None:
    (problem,) = problems(wifi={**WIFI, **wrong})
    assert problem.startswith(sentence)


def test_the_passphrase_becomes_the_key_of_the_standard() -> None:
    """The first test vector of IEEE 802.11i, H.4.3."""
    key = "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
    assert pre_shared_key("IEEE", "password") == key
    wifi = settings(wifi={**WIFI, "ssid": "IEEE", "psk": "", "password": "password"}).wifi
    assert wifi is not None
    assert wifi.psk == key


def test_a_wifi_without_values_is_none() -> None:
    assert settings(wifi={"ssid": "", "password": "", "psk": "", "country": "", "hidden": False}).wifi is None


def test_a_key_in_capitals_is_the_same_key() -> None:
    wifi = settings(wifi={**WIFI, "psk": PSK.upper()}).wifi
    assert wifi is not None
    assert wifi.psk == PSK


@pytest.mark.parametrize("name", ["en_GB.UTF-8", "C.UTF-8", "ast_ES.UTF-8"])
def test_locales(name: str) -> None:
    assert settings(locale=name).locale == name


@pytest.mark.parametrize("name", ["english", "en-GB", "en_GB", "de_DE@euro", "en_GB.UTF-8; reboot", "en_GB.UTF-8\n"])
def test_wrong_locales(name: str) -> None:
    assert problems(locale=name)[0].startswith("card_locale is ")


@pytest.mark.parametrize("name", ["Berlin", "CEST", "europe/berlin", "Europe/Berlin\n", "../etc/passwd"])
def test_wrong_time_zones(name: str) -> None:
    assert problems(timezone=name)[0].startswith("card_timezone is ")


def test_time_zones() -> None:
    assert settings(timezone="America/Argentina/Buenos_Aires").timezone
    assert settings(timezone="Etc/GMT+1").timezone
    assert known_time_zone("Europe/Nowhere", available=set)  # without a list the form has to do
    assert not known_time_zone("europe/nowhere", available=set)


def test_all_problems_are_named_at_once() -> None:
    assert len(problems(hostname="", user="", password_hash="", authorized_keys=[], timezone="x")) == 5


def test_the_countries_are_those_of_the_tz_database() -> None:
    listed = Path("/usr/share/zoneinfo/iso3166.tab")
    if not listed.exists():
        pytest.skip("this machine has no list of countries")
    lines = listed.read_text().splitlines()
    assert {line.split("\t")[0] for line in lines if not line.startswith("#")} == COUNTRIES
