# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents of a card have in common: the line by which ours are known, and what of them may be shown."""

from __future__ import annotations

import re

MARK = "# Written by pifleet.ci"
SECRET = re.compile(r"^(\s*(?:hashed_passwd|password)\s*[:=]\s*).+$", re.MULTILINE)


def mark(hostname: str) -> str:
    return f"{MARK} for {hostname}; the next run replaces it."


def is_ours(text: str) -> bool:
    """Whether one of the first lines is our mark."""
    return any(line.startswith(MARK) for line in text.splitlines()[:3])


def shown(text: str | None) -> str:
    """The document for a diff. Of one that is not ours it is not known which lines are secret, so none is shown."""
    if text is None:
        return ""
    return SECRET.sub(r"\1(secret)", text) if is_ours(text) else "(not written by pifleet.ci)\n"
