# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash of a password is one that crypt takes, and stays as long as the password does."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.passwords import HASH, stable_hash
from ansible_collections.pifleet.ci.plugins.plugin_utils._card.sha512_crypt import sha512_crypt
from card_fixtures import PASSWORD

pytestmark = pytest.mark.slow  # openssl is installed by scripts/setup_lab.sh


def openssl(password: str, salt: str) -> str:
    command = ["openssl", "passwd", "-6", "-salt", salt, "-stdin"]
    return subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("password", [PASSWORD, "x", "pässwörd", "a'b\"c$d\\e", "x" * 64, "long " * 30])
def test_it_is_the_one_of_openssl(password: str) -> None:
    made = stable_hash(password, "")
    assert HASH.fullmatch(made)
    assert made == openssl(password, made.split("$")[2])


def test_another_number_of_rounds() -> None:
    """The second example of the specification."""
    digest = "OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."
    made = f"$6$rounds=10000$saltstringsaltst${digest}"
    assert sha512_crypt("Hello world!", "saltstringsaltst", 10000) == made


def test_it_stays_and_changes_with_the_password() -> None:
    made = stable_hash(PASSWORD, "")
    assert stable_hash(PASSWORD, made) == made
    assert stable_hash(PASSWORD + "!", made) != made
    assert stable_hash(PASSWORD, "") != made  # another salt
    assert stable_hash(PASSWORD, "$y$j9T$abc$def") != made


def test_one_that_openssl_made_stays_as_well() -> None:
    made = openssl(PASSWORD, "0123456789abcdef")
    assert stable_hash(PASSWORD, made) == made
