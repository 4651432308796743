# SPDX-License-Identifier: GPL-3.0-or-later
"""Intents in the text of a config.toml, and keys in the text of a maintenance note."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import (
    NO_ENTRY,
    parse,
    remove_entries,
    set_entry,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.intents import (
    Intent,
    intents,
    with_intent,
    without_intents,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import key_of, users_part, with_key
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINE = Intent("default/pi-01/docker", NOON, "0a1b2c3d")
THEIRS = Intent("default/pi-01/docker", NOON, "99999999")
OTHERS = Intent("default/pi-01/docker socket (big)", NOON, "0a1b2c3d")

TEXTS = ["", "concurrent = 1\n", "concurrent = 1", "\n\n# by hand\n[[runners]]\nname = 'docker'\r\n", "\ufeffa = 1"]


@pytest.mark.parametrize("text", TEXTS)
def test_there_and_back(text: str) -> None:
    marked = with_intent(with_intent(with_intent(text, THEIRS), MINE), OTHERS)
    assert parse(marked) == parse(text)
    assert intents(marked, MINE.key) == (MINE, THEIRS)
    assert intents(marked, OTHERS.key) == (OTHERS,)
    left = without_intents(marked, lambda intent: intent.run == MINE.run)
    assert intents(left, MINE.key) == (THEIRS,)
    assert without_intents(left, lambda intent: True) == (text or f"{NO_ENTRY}\n")


def test_what_an_intent_leaves_is_not_an_empty_file() -> None:
    """An empty file would look like one that a power cut emptied."""
    left = without_intents(with_intent("", MINE), lambda intent: True)
    assert left == f"{NO_ENTRY}\n"
    assert NO_ENTRY not in set_entry(with_intent(left, MINE), None, {"name": "docker", "id": 7})


@pytest.mark.parametrize("text", TEXTS)
def test_no_intent_no_change(text: str) -> None:
    assert without_intents(text, lambda intent: True) == text


def test_a_run_has_one_intent_and_renews_it() -> None:
    later = Intent(MINE.key, NOON + timedelta(minutes=2), MINE.run)
    assert intents(with_intent(with_intent("", MINE), later), MINE.key) == (later,)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_it_stays_when_the_entry_below_it_goes(mark: str) -> None:
    """It may be about another runner than the one that is removed, or merged."""
    text = with_intent(mark + '# Bob\'s\n[[runners]]\nname = "docker"\n', MINE)
    assert intents(remove_entries(text, [0]), MINE.key) == (MINE,)
    assert "Bob" not in remove_entries(text, [0])


def test_an_unreadable_time_is_very_old() -> None:
    text = with_intent("", MINE).replace("2026-01-01T12:00:00Z", "yesterday")
    (intent,) = intents(text, MINE.key)
    assert intent.older_than(timedelta(days=365), NOON)


@given(note=st.text(max_size=60), key=st.text("abc/- .", min_size=1).map(str.strip).filter(bool))
def test_the_key_comes_back_and_the_users_part_stays(note: str, key: str) -> None:
    marked = with_key(note, key)
    assert key_of(marked) == key
    assert users_part(marked) == users_part(note)
    assert with_key(marked, key) == marked


@pytest.mark.parametrize(
    ("note", "key"),
    [
        ("", None),
        ("Shelf 3", None),
        ("see pifleet.ci: default/pi-01/docker", None),
        ("Shelf 3\r\npifleet.ci: a/b/c", "a/b/c"),
        ("pifleet.ci: a/b/c\nwritten below ours", "a/b/c"),
        ("pifleet.ci: a/b/c\npifleet.ci: d/e/f", "d/e/f"),
    ],
)
def test_key_of(note: str, key: str | None) -> None:
    assert key_of(note) == key
