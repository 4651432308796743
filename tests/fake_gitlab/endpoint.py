# SPDX-License-Identifier: GPL-3.0-or-later
"""What an endpoint takes and returns (`Call`, `Reply`, `APIError`), independent of the web framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_gitlab.state import FakeGitLab

API = "/api/v4"
GRAPHQL = "/api/graphql"


def api_path(path: str) -> str:
    """The path below `/api/v4`, and `/graphql` for `/api/graphql`."""
    return "/graphql" if path == GRAPHQL else path.removeprefix(API)


@dataclass
class Call:
    """A request. `params` merges path, query and body parameters, as Grape's `params` do."""

    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = "127.0.0.1"
    origin: str = ""
    """Scheme, host and port under which the client reached the server."""
    runner_id: int | None = None
    """The runner that the request addresses, by id or token; handlers set it for the journal."""
    user: str | None = None
    """The user name, once authenticated; for the journal."""


@dataclass(frozen=True)
class Reply:
    """Status, headers and body: JSON data, text (sent as HTML when it starts with `<`), or None."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class APIError(Exception):
    """An error reply (Grape: `error!`). Raised before the handler changes anything."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status} {reply.body}")
        self.reply = reply


Handler = Callable[["FakeGitLab", Call], Reply]


@dataclass(frozen=True)
class Endpoint:
    """A route below `/api/v4`; `{name}` in `path` is a parameter."""

    method: str
    path: str
    handler: Handler
    family: str
    """The kind of token: `user` (access tokens), `runner` (authentication and registration tokens) or `job`."""
    needs: str = ""
    """The row of `versions.DIFFERENCES` that the release must have; without it the route is a 404."""
