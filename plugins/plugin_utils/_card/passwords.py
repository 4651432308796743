# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash of a password, the same one as long as the password is the same."""

from __future__ import annotations

import re

from ansible.utils.encrypt import do_encrypt, random_salt

HASH = re.compile(
    r"\$6\$(rounds=\d+\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{86}"
    r"|\$5\$(rounds=\d+\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{43}"
    r"|\$y\$[./0-9A-Za-z]+\$[./0-9A-Za-z]{1,86}\$[./0-9A-Za-z]{43}"
)
SHA512 = re.compile(r"\$6\$(?:rounds=(?P<rounds>\d+)\$)?(?P<salt>[./0-9A-Za-z]{1,16})\$[./0-9A-Za-z]{86}")
ROUNDS = 5000
"""The default of crypt(3). Ansible's own of 656000 makes a Pi think for seconds at every sudo."""


def stable_hash(password: str, present: str) -> str:
    """SHA-512 crypt of the password: ``present``, the hash on the card, if it is one of this password, else a new one.

    The salt is not derived from the password, for then it would be a quick test of what the password is. Raises
    AnsibleError where passlib is missing.
    """
    found = SHA512.fullmatch(present)
    if found and _hash(password, found["salt"], int(found["rounds"] or ROUNDS)) == present:
        return present
    return _hash(password, random_salt(16), ROUNDS)


def _hash(password: str, salt: str, rounds: int) -> str:
    hashed: str = do_encrypt(password, "sha512_crypt", salt=salt, rounds=rounds)
    return hashed
