# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of requests. It holds the names of parameters, never their values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fake_gitlab.endpoint import API, api_path


@dataclass
class Entry:
    number: int
    at: datetime
    method: str
    path: str
    """The full path, except that `/api/graphql` is recorded as `/graphql`."""
    params: tuple[str, ...]
    family: str
    client: str
    system_id: str | None = None
    user: str | None = None
    runner_id: int | None = None
    processed: bool = False
    """Whether the request was carried out, even if its reply was lost or replaced."""
    status: int | None = None
    """The status that was sent; None while there is no reply and when the connection was cut."""
    fault: bool = False

    @property
    def is_write(self) -> bool:
        """Whether it changes runners or settings. Reads, GraphQL queries, `verify` and job requests do not count."""
        reads = self.method in ("GET", "HEAD") or self.path in (f"{API}/runners/verify", "/graphql")
        return not reads and self.family != "job"

    def __str__(self) -> str:
        runner = "" if self.runner_id is None else f" runner {self.runner_id}"
        return f"{self.number} {self.method} {self.path}{runner} -> {self.status or 'no reply'}"


class Journal:
    """All requests in the order of arrival."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._numbers = 0

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def clear(self) -> None:
        """Remove all entries. Numbers continue, so that they stay unique."""
        self._entries.clear()

    def writes(self) -> list[Entry]:
        return [entry for entry in self._entries if entry.is_write]

    def matching(self, method: str, path: str) -> list[Entry]:
        """The requests with that method and that path below `/api/v4` (or `/graphql`)."""
        return [entry for entry in self._entries if (entry.method, api_path(entry.path)) == (method, path)]

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]
