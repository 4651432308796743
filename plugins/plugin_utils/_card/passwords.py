# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash of a password, the same one as long as the password is the same."""

from __future__ import annotations

import re
import secrets

from ansible_collections.pifleet.ci.plugins.plugin_utils._card.sha512_crypt import (
    ALPHABET,
    DEFAULT_ROUNDS,
    sha512_crypt,
)

HASH = re.compile(
    r"\$6\$(rounds=\d+\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{86}"
    r"|\$5\$(rounds=\d+\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{43}"
    r"|\$y\$[./0-9A-Za-z]+\$[./0-9A-Za-z]{1,86}\$[./0-9A-Za-z]{43}"
)
SHA512 = re.compile(r"\$6\$(?P<salt>[./0-9A-Za-z]{1,16})\$[./0-9A-Za-z]{86}")


def stable_hash(password: str, present: str) -> str:
    """SHA-512 crypt of the password: ``present``, the hash on the card, if it is one of this password, else a new one.

    With the default number of rounds: more of them make a Pi think for seconds at every sudo. The salt is not derived
    from the password, for then it would be a quick test of what the password is.
    """
    found = SHA512.fullmatch(present)
    if found and secrets.compare_digest(sha512_crypt(password, found["salt"], DEFAULT_ROUNDS), present):
        return present
    salt = "".join(secrets.choice(ALPHABET) for _number in range(16))
    return sha512_crypt(password, salt, DEFAULT_ROUNDS)
