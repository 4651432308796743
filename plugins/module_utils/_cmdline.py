# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's command line in cmdline.txt: one line of words, whose order and spelling stay.

Runs on the host itself, too: standard library only, Python 3.9 and later, no Ansible.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


class CmdlineError(Exception):
    """One sentence without an end: the file is not what a Pi boots with."""


def with_parameter(text: str, name: str, value: str) -> str:
    """The text with ``name=value`` in place of the parameter's former values, or as last word. All else is kept."""
    _validate(text)
    word = re.compile(rf"(?<!\S){re.escape(name)}=\S*")
    if word.search(text):
        return word.sub(lambda _found: f"{name}={value}", text)
    return _with_last_word(text, f"{name}={value}")


def with_words(text: str, words: Sequence[str]) -> str:
    """The text with those of the words that it lacks as its last ones, for a parameter may be given more than once."""
    _validate(text)
    for word in words:
        if word not in text.split():
            text = _with_last_word(text, word)
    return text


def without_words(text: str, words: Sequence[str]) -> str:
    """The text without these words and the space before them, or after them at its beginning. All else is kept."""
    _validate(text)
    for word in words:
        text = re.sub(rf"[ \t]+{re.escape(word)}(?!\S)|^{re.escape(word)}(?:[ \t]+|(?!\S))", "", text)
    return text


def has_word(text: str, start: str) -> bool:
    """Whether a word of the command line begins so."""
    return any(word.startswith(start) for word in text.split())


def _validate(text: str) -> None:
    if len(text.strip().splitlines()) != 1:
        raise CmdlineError("cmdline.txt is not one line, which a Pi does not boot with")


def _with_last_word(text: str, word: str) -> str:
    end = re.search(r"\r?\n", text)
    return f"{text.rstrip()} {word}{end[0] if end else ''}"
