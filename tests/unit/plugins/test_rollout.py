# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of hosts within a play."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.pifleet.ci.plugins.filter.rollout import rollout

HOSTS = [f"pi-{number:02}" for number in range(1, 22)]


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (1, [1] * 21),
        ("8", [8, 8, 5]),
        (30, [21]),
        ("10%", [2] * 10 + [1]),
        ("1%", [1] * 21),
        ("100%", [21]),
        ([1, "20%", 9], [1, 4, 9, 7]),
    ],
)
def test_every_host_is_in_one_batch(size: Any, sizes: list[int]) -> None:
    batches = rollout(HOSTS, size)
    assert [len(batch["hosts"]) for batch in batches] == sizes
    assert [host for batch in batches for host in batch["hosts"]] == HOSTS
    for number, batch in enumerate(batches):
        assert batch["earlier"] == [host for before in batches[:number] for host in before["hosts"]]


def test_no_hosts_make_no_batches() -> None:
    assert rollout([], "10%") == []


@pytest.mark.parametrize("size", [0, "0%", -1, "", "half", "1.5", None, True, [], [1, "x"]])
def test_what_is_no_size_is_refused(size: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="the size of a rollout's batches"):
        rollout(HOSTS, size)
