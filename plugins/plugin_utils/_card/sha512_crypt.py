# SPDX-License-Identifier: GPL-3.0-or-later
"""SHA-512 crypt, the hash of passwords that begins with $6$: https://www.akkadia.org/drepper/SHA-crypt.txt

Python has no crypt since 3.13, and what Ansible has for it takes the salt in another way in each release.
"""

from __future__ import annotations

from hashlib import sha512

ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DEFAULT_ROUNDS = 5000


def sha512_crypt(password: str, salt: str, rounds: int = DEFAULT_ROUNDS) -> str:
    """The hash as it stands in /etc/shadow. salt: up to 16 characters of ALPHABET."""
    secret, salted = password.encode(), salt.encode()
    digest = _first(secret, salted)
    secret_block = _repeated(sha512(secret * len(secret)).digest(), len(secret))
    salt_block = _repeated(sha512(salted * (16 + digest[0])).digest(), len(salted))
    for number in range(rounds):
        odd = number % 2
        parts = [secret_block if odd else digest]
        parts += [salt_block] if number % 3 else []
        parts += [secret_block] if number % 7 else []
        parts += [digest if odd else secret_block]
        digest = sha512(b"".join(parts)).digest()
    chosen = "" if rounds == DEFAULT_ROUNDS else f"rounds={rounds}$"
    return f"$6${chosen}{salt}${_encoded(digest)}"


def _first(secret: bytes, salt: bytes) -> bytes:
    """What the rounds begin with."""
    other = sha512(secret + salt + secret).digest()
    parts = [secret, salt, _repeated(other, len(secret))]
    length = len(secret)
    while length:  # its bits from the lowest one
        parts.append(other if length & 1 else secret)
        length >>= 1
    return sha512(b"".join(parts)).digest()


def _repeated(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _encoded(digest: bytes) -> str:
    """86 characters: 21 groups of three bytes, taken from all over the digest, and its last byte."""
    text, (high, middle, low) = "", (0, 21, 42)
    for _group in range(21):
        text += _characters(digest[high] << 16 | digest[middle] << 8 | digest[low], 4)
        high, middle, low = middle + 1, low + 1, high + 1
    return text + _characters(digest[63], 2)


def _characters(number: int, count: int) -> str:
    return "".join(ALPHABET[number >> 6 * place & 63] for place in range(count))
