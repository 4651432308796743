# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked of the server: never a token, only the names of the parameters."""

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
    """The whole path, except that `/api/graphql` is noted as `/graphql`."""
    params: tuple[str, ...]
    family: str
    client: str
    system_id: str | None = None
    user: str | None = None
    runner_id: int | None = None
    processed: bool = False
    """Whether the request reached GitLab; what it changed has happened, whatever became of the reply."""
    status: int | None = None
    """The status that went out; None when the connection was cut or the reply is still to come."""
    fault: bool = False

    @property
    def is_write(self) -> bool:
        """Changes what a person set up. Not: heartbeats (`verify`), the runner program's own traffic for jobs, and
        questions in GraphQL."""
        asks = self.method in ("GET", "HEAD") or self.path in (f"{API}/runners/verify", "/graphql")
        return not asks and self.family != "job"

    def __str__(self) -> str:
        runner = "" if self.runner_id is None else f" runner {self.runner_id}"
        return f"{self.number} {self.method} {self.path}{runner} -> {self.status or 'no reply'}"


class Journal:
    """All requests in the order in which they came."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._numbers = 0

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def clear(self) -> None:
        """Forget the entries; numbers go on, so that they stay unique."""
        self._entries.clear()

    def writes(self) -> list[Entry]:
        return [entry for entry in self._entries if entry.is_write]

    def matching(self, method: str, path: str) -> list[Entry]:
        """Requests of that method whose path below `/api/v4` (or `/graphql`) is the given one."""
        return [entry for entry in self._entries if (entry.method, api_path(entry.path)) == (method, path)]

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]
