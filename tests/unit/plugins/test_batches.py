# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter batches splits hosts as the keyword serial of a play does."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.pifleet.ci.plugins.filter.batches import batches

HOSTS = [f"pi-{number:02}" for number in range(1, 11)]


@pytest.mark.parametrize(
    ("serial", "sizes"),
    [
        (1, [1] * 10),
        ("4", [4, 4, 2]),
        (0, [10]),
        (20, [10]),
        ("25%", [2] * 5),
        ("1%", [1] * 10),
        ("100%", [10]),
        ([1, "3", "50%"], [1, 3, 5, 1]),
        ([2, 0], [2, 8]),
    ],
)
def test_sizes(serial: Any, sizes: list[int]) -> None:
    found = batches(HOSTS, serial)
    assert [len(batch) for batch in found] == sizes
    assert [host for batch in found for host in batch] == HOSTS


def test_no_hosts_make_no_batch() -> None:
    assert batches([], "25%") == []


@pytest.mark.parametrize("serial", ["few", -1, 1.5, True, None, "", "%", [], [1, "x"]])
def test_what_is_no_size_is_refused(serial: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="a percentage such as 25%"):
        batches(HOSTS, serial)
