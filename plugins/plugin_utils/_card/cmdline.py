# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's command line in cmdline.txt: one line of words, whose order and spelling stay."""

from __future__ import annotations

import re


class CmdlineError(Exception):
    """One sentence: the file is not what a Pi boots with."""


def with_parameter(text: str, name: str, value: str) -> str:
    """The text with ``name=value`` in place of the parameter's former values, or as last word. All else is kept."""
    if len(text.splitlines()) != 1 or not text.strip():
        raise CmdlineError("cmdline.txt is not one line, which a Pi does not boot with: flash the card again.")
    word = re.compile(rf"(?<!\S){re.escape(name)}=\S*")
    if word.search(text):
        return word.sub(lambda _found: f"{name}={value}", text)
    end = text[len(text.rstrip("\r\n")) :]
    return f"{text.rstrip()} {name}={value}{end}"


def has_word(text: str, start: str) -> bool:
    """Whether a word of the command line begins so."""
    return any(word.startswith(start) for word in text.split())
