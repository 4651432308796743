# SPDX-License-Identifier: GPL-3.0-or-later
"""The pre-shared key of a WPA network."""

from __future__ import annotations

import hashlib


def pre_shared_key(ssid: str, passphrase: str) -> str:
    """64 hexadecimal digits: PBKDF2 with HMAC-SHA1, the SSID as salt, 4096 rounds (IEEE 802.11i, H.4)."""
    return hashlib.pbkdf2_hmac("sha1", passphrase.encode(), ssid.encode(), 4096, 32).hex()
