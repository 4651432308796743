# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every document and every wish."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._config import merge as config
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.redaction import redacted_diff, secret_strings
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.reload import changed_paths
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import join
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import validate_settings
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.values import equivalent
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.editor import Document
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import identical, read_lines
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sizes import EXAMPLES
from unit.config.strategies import Layout, configurations, laid_out, wishes

pytestmark = pytest.mark.slow

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=set(Phase) - {Phase.explain},
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def read(text: str) -> dict[str, Any]:
    return tomllib.loads(text.removeprefix("\ufeff"))


def merged(text: str, wish: dict[str, Any], **options: Any) -> str:
    return config.merge(text, append_missing=True, **wish, **options)


@st.composite
def documents(draw: st.DrawFn) -> str:
    return draw(laid_out(draw(configurations())))


@many
@given(data=configurations(), seed=st.integers(0, 2**32))
def test_the_layouts_are_what_they_say(data: dict[str, Any], seed: int) -> None:
    text = Layout(Random(seed)).document(data)
    assert identical(read(text), data)


@many
@given(text=documents(), wish=wishes())
def test_merged_text_says_what_was_wished_and_leaves_the_rest(text: str, wish: dict[str, Any]) -> None:
    before, after = read(text), read(merged(text, wish))
    _assert_merged("", before, after, wish["settings"])
    old = {entry["name"]: entry for entry in before.get("runners", [])}
    new = {entry["name"]: entry for entry in after.get("runners", [])}
    wanted = {entry["name"]: entry for entry in wish["runners"]}
    assert list(new) == list(old) + [name for name in wanted if name not in old]
    for name, entry in new.items():
        _assert_merged("runners", old.get(name, {}), entry, wanted.get(name, {}))


def _assert_merged(path: str, before: Any, after: Any, wanted: dict[str, Any]) -> None:
    """Every wished key is there as GitLab Runner reads it, every other key is untouched."""
    for name in (before.keys() | after.keys()) - wanted.keys() - ({"runners"} if not path else set()):
        assert identical(before.get(name), after.get(name)), name
    for name, value in wanted.items():
        place = join(path, name)
        if value is None:
            assert name not in after, place
        elif isinstance(value, dict) and isinstance(before.get(name, {}), dict):
            _assert_merged(place, before.get(name, {}), after.get(name, {}), value)
        else:
            assert equivalent(place, after.get(name), value), place


@many
@given(text=documents(), wish=wishes())
def test_nothing_that_was_not_declared_is_touched(text: str, wish: dict[str, Any]) -> None:
    after = merged(text, wish)
    kept, data = [line.text.strip() for line in read_lines(after.removeprefix("\ufeff"))], Document(after)
    document, position = Document(text), 0
    # a table that was removed as wished takes the comments in it along
    sections = [section for section in document._sections if data.get(section.location) is not None]
    for line in [line for section in sections for line in section.head + section.body] + document._epilogue:
        if line.kind == "comment":
            assert line.text.strip() in kept[position:], "comments stay, in their order"
            position = kept.index(line.text.strip(), position) + 1
    assert after.startswith("\ufeff") == text.startswith("\ufeff")


@many
@given(text=documents(), wish=wishes())
def test_twice_is_once(text: str, wish: dict[str, Any]) -> None:
    once = merged(text, wish)
    assert merged(once, wish) == once


@many
@given(text=documents())
def test_wishing_for_what_is_there_changes_not_one_byte(text: str) -> None:
    data = read(text)
    runners = deepcopy(data.pop("runners", []))
    assert config.merge(text, settings=data, runners=runners) == text
    for index, entry in enumerate(runners):
        assert config.set_entry(text, index, entry) == text


@many
@given(text=documents(), wish=wishes())
def test_removing_what_was_added_gives_the_data_back(text: str, wish: dict[str, Any]) -> None:
    before, after = config.parse(text), config.parse(merged(text, wish))
    back = {"settings": _inverse(before, after), "runners": []}
    back["settings"].pop("runners", None)
    undone = merged(merged(text, wish), back)
    known = len(before["runners"])
    for index, (old, new) in enumerate(zip(before["runners"], after["runners"], strict=False)):
        undone = config.set_entry(undone, index, _inverse(old, new))
    undone = config.remove_entries(undone, range(known, len(after["runners"])))
    assert set(changed_paths(before, config.parse(undone))) == set()


def _inverse(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    inverse: dict[str, Any] = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            inverse[name] = _inverse(old, new)
        elif not identical(old, new):
            inverse[name] = old
    return inverse


@many
@given(text=documents(), keep=st.sets(st.integers(0, 2)))
def test_removed_entries_leave_the_others_as_they_were(text: str, keep: set[int]) -> None:
    entries = config.parse(text)["runners"]
    gone = set(range(len(entries))) - keep
    after = config.remove_entries(text, gone)
    assert identical(config.parse(after)["runners"], [entry for index, entry in enumerate(entries) if index in keep])
    rest = read(after)
    rest.pop("runners", None)
    before = read(text)
    before.pop("runners", None)
    assert identical(rest, before)
    purged = config.merge(
        text,
        settings={},
        runners=[{"name": entries[index]["name"]} for index in keep if index < len(entries)],
        purge=True,
    )
    assert purged == after


@many
@given(text=documents(), wish=wishes())
def test_no_secret_is_in_the_diff(text: str, wish: dict[str, Any]) -> None:
    after = merged(text, wish)
    shown = redacted_diff(text, after, "config.toml")
    assert "hush-" not in shown["before"] + shown["after"]
    assert (shown["before"] == shown["after"]) <= (secrets(text) == secrets(after))


def secrets(text: str) -> list[str]:
    return sorted(secret_strings(text))


@many
@given(wish=wishes())
def test_wishes_pass_the_check_unchanged(wish: dict[str, Any]) -> None:
    checked = validate_settings(wish["settings"], wish["runners"])
    assert identical(checked.settings, wish["settings"])
    assert identical(checked.runners, wish["runners"])
