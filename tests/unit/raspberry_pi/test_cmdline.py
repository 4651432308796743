# SPDX-License-Identifier: GPL-3.0-or-later
"""cmdline.txt stays one line of the same words in the same order."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest
from ansible_collections.pifleet.ci.plugins.module_utils._cmdline import (
    CmdlineError,
    has_word,
    with_parameter,
    with_words,
    without_words,
)
from card_image import BOOKWORM
from hypothesis import given
from hypothesis import strategies as st

NAME = "cfg80211.ieee80211_regdom"
WORDS = st.lists(
    st.from_regex(r"[a-z0-9_./]{1,12}(=[a-zA-Z0-9_.,:/-]{0,12})?", fullmatch=True), min_size=1, max_size=12
)


@given(words=WORDS, spaces=st.integers(1, 3), end=st.sampled_from(["", "\n", "\r\n", " \n"]))
def test_a_new_parameter_is_the_last_word(words: list[str], spaces: int, end: str) -> None:
    text = (" " * spaces).join(words) + end
    changed = with_parameter(text, NAME, "GB")
    assert changed.startswith((" " * spaces).join(words))
    assert shlex.split(changed) == [*words, f"{NAME}=GB"]
    assert changed.splitlines() == [changed.rstrip("\r\n")]
    assert changed.endswith(end.lstrip(" "))
    assert with_parameter(changed, NAME, "GB") == changed


@given(words=WORDS, where=st.integers(0, 12))
def test_another_value_is_replaced_where_it_stands(words: list[str], where: int) -> None:
    words.insert(where, f"{NAME}=DE")
    changed = with_parameter(" ".join(words) + "\n", NAME, "GB")
    assert changed == " ".join(words).replace(f"{NAME}=DE", f"{NAME}=GB") + "\n"


def test_a_longer_name_is_another_parameter() -> None:
    assert with_parameter(f"x{NAME}=DE {NAME}x=DE", NAME, "GB") == f"x{NAME}=DE {NAME}x=DE {NAME}=GB"


@pytest.mark.parametrize("text", ["", "\n", "a\nb\n", "a\n\nb"])
def test_what_is_not_one_line_is_refused(text: str) -> None:
    with pytest.raises(CmdlineError, match="not one line"):
        with_parameter(text, NAME, "GB")


def test_what_is_empty_behind_the_line_is_no_second_one() -> None:
    assert with_words("a\n  \n", ["b"]) == "a b\n"


def test_words() -> None:
    assert has_word(BOOKWORM["cmdline.txt"], "init=")
    assert not has_word("xinit=/bin/sh", "init=")


MEMORY = ["cgroup_enable=memory", "cgroup_memory=1"]


@given(words=WORDS, spaces=st.integers(1, 3), end=st.sampled_from(["", "\n", "\r\n"]))
def test_words_are_added_at_the_end_and_can_be_taken_out_again(words: list[str], spaces: int, end: str) -> None:
    text = (" " * spaces).join(words) + end
    changed = with_words(text, MEMORY)
    assert changed == (" " * spaces).join([*words]) + " " + " ".join(MEMORY) + end
    assert with_words(changed, MEMORY) == changed
    assert without_words(changed, MEMORY) == text
    assert without_words(text, MEMORY) == text


def test_another_value_of_the_same_parameter_stays() -> None:
    text = "cgroup_enable=cpuset cgroup_enable=memory rootwait\n"
    assert with_words(text, MEMORY) == "cgroup_enable=cpuset cgroup_enable=memory rootwait cgroup_memory=1\n"


@given(words=WORDS, where=st.integers(0, 12))
def test_a_word_is_taken_out_where_it_stands(words: list[str], where: int) -> None:
    text = " ".join([*words[:where], MEMORY[0], *words[where:]])
    assert without_words(text, MEMORY) == " ".join(words)


@pytest.mark.parametrize("change", [with_words, without_words])
@pytest.mark.parametrize("text", ["", "\n", "a\nb\n"])
def test_words_of_what_is_not_one_line_are_refused(change: Callable[[str, list[str]], str], text: str) -> None:
    with pytest.raises(CmdlineError, match="not one line"):
        change(text, MEMORY)
