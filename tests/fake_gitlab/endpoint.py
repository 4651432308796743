# SPDX-License-Identifier: GPL-3.0-or-later
"""One request and its reply, free of any web framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_gitlab.state import FakeGitLab

API = "/api/v4"
GRAPHQL = "/api/graphql"


def api_path(path: str) -> str:
    """The path as tests name it: below `/api/v4`, and `/graphql` for the one that lies beside it."""
    return "/graphql" if path == GRAPHQL else path.removeprefix(API)


@dataclass
class Call:
    """A request as the handlers see it: `params` are path, query and body together, as in GitLab's own framework."""

    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = "127.0.0.1"
    origin: str = ""
    """Scheme, host and port under which the client reached the server."""
    runner_id: int | None = None
    """The runner that the request turned out to be about; handlers set it for the journal."""
    user: str | None = None
    """The user whose token was sent, once known; also for the journal."""


@dataclass(frozen=True)
class Reply:
    """Status, headers and a body: JSON data, text (HTML when it starts with `<`), or nothing."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class APIError(Exception):
    """Ends a handler with an error reply; nothing was changed."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status} {reply.body}")
        self.reply = reply


Handler = Callable[["FakeGitLab", Call], Reply]


@dataclass(frozen=True)
class Endpoint:
    """A path below `/api/v4` with `{name}` parameters, and who answers it."""

    method: str
    path: str
    handler: Handler
    family: str
    """`user` (personal and other user tokens), `runner` (runner and registration tokens) or `job` (job tokens)."""
    needs: str = ""
    """The row of `versions.DIFFERENCES` without which the server has no such address."""
