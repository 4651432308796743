# SPDX-License-Identifier: GPL-3.0-or-later
"""Keyset pagination: a cursor holds the key of the last item, so concurrent changes neither skip nor repeat items."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Key = tuple[Any, ...]

MAX_PAGE_SIZE = 100


@dataclass(frozen=True)
class Page(Generic[Item]):
    nodes: Sequence[Item]
    has_next_page: bool
    end_cursor: str | None


def paginate(
    items: Sequence[Item], key: Callable[[Item], Key], first: int | None, after: str | None, *, descending: bool = False
) -> Page[Item]:
    """The `first` items (default and maximum: 100) after the cursor `after`, ordered by their unique keys.

    `key` returns a tuple of JSON values. Raises ValueError for an invalid cursor.
    """
    ordered = sorted(items, key=key, reverse=descending)
    if after:
        start = _decode(after)
        ordered = [item for item in ordered if (key(item) < start if descending else key(item) > start)]
    size = MAX_PAGE_SIZE if first is None else max(min(first, MAX_PAGE_SIZE), 0)
    nodes = ordered[:size]
    return Page(nodes, len(ordered) > size, _encode(key(nodes[-1])) if nodes else None)


def _encode(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decode(cursor: str) -> Key:
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise ValueError("Please provide a valid cursor") from error
    if not isinstance(key, list):
        raise ValueError("Please provide a valid cursor")
    return tuple(key)
