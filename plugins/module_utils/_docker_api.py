# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of the Docker Engine of this host, over its socket.

Runs on the host itself: standard library only, Python 3.9 and later. Docker's own Python package is not needed, and its
import alone takes a Pi longer than all of these requests.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import quote

SOCKET = "/var/run/docker.sock"
TIMEOUT = 20.0  # seconds for each reply; an engine that is starting containers after a boot is slow

# The latter for a name with two slashes together, or an empty one: it points to the address without them.
_OF_INVALID_NAMES = {http.client.BAD_REQUEST, http.client.MOVED_PERMANENTLY}
_ACCEPTED = {
    http.client.OK,
    http.client.CREATED,
    http.client.NO_CONTENT,
    http.client.NOT_MODIFIED,
    http.client.NOT_FOUND,
}


class EngineError(Exception):
    """The engine does not answer, or not with what was asked for; one sentence says why."""


class Conflict(EngineError):
    """The object is in use, or in another state than the request needs."""


class InvalidName(EngineError):
    """The engine cannot make anything of a name in the request."""


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """The engine behind the socket. Paths are those of the API's newest version that the engine speaks.

    https://docs.docker.com/reference/api/engine/
    """

    def __init__(self, path: str = SOCKET, *, timeout: float = TIMEOUT) -> None:
        self._path, self._timeout = path, timeout

    def get(self, resource: str, *names: str, **query: Any) -> Any:
        """Return the JSON at the resource, with the names in place of its ``{}``; None if there is no such object.

        query: parameters, sent as JSON, strings as they are. Raises EngineError, for names that are none InvalidName.
        """
        return self._json("GET", resource, names, query)

    def post(self, resource: str, *names: str, body: Any = None, **query: Any) -> Any:
        """As `get`, with ``body`` sent as JSON. Raises Conflict as well; None where the engine replies nothing."""
        return self._json("POST", resource, names, query, body)

    def delete(self, resource: str, *names: str, **query: Any) -> Any:
        """As `post`. Raises Conflict for what is in use."""
        return self._json("DELETE", resource, names, query)

    def events(self, since: int, until: int, **filters: list[str]) -> list[dict[str, Any]]:
        """Return the events between two times in seconds since 1970. The engine remembers the last 256 of all kinds."""
        body = self._send("GET", "/events", (), {"since": since, "until": until, "filters": filters})[1]
        return [self._parsed("/events", line) for line in body.splitlines() if line.strip()]

    def _json(self, method: str, resource: str, names: tuple[str, ...], query: dict[str, Any], body: Any = None) -> Any:
        status, reply = self._send(method, resource, names, query, body)
        return None if status == http.client.NOT_FOUND or not reply.strip() else self._parsed(resource, reply)

    def _send(
        self, method: str, resource: str, names: tuple[str, ...], query: dict[str, Any], body: Any = None
    ) -> tuple[int, bytes]:
        address = resource.format(*(quote(name, safe="/:@") for name in names))
        if query:
            address += "?" + "&".join(f"{key}={quote(_text(value))}" for key, value in query.items())
        content = None if body is None else json.dumps(body).encode()
        connection = _SocketConnection(self._path, self._timeout)
        try:
            connection.request(method, address, content, {"Content-Type": "application/json"} if content else {})
            reply = connection.getresponse()
            data = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"Docker Engine does not answer at {self._path}: {error}.") from error
        finally:
            connection.close()
        if reply.status in _ACCEPTED:
            return reply.status, data
        reason = data.decode("utf-8", "replace").strip()
        if reply.status == http.client.CONFLICT:
            kind: type[EngineError] = Conflict
        else:
            kind = InvalidName if names and reply.status in _OF_INVALID_NAMES else EngineError
        raise kind(f"Docker Engine answers {address} with {reply.status}: {reason}.")

    def _parsed(self, address: str, text: bytes) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise EngineError(f"Docker Engine answers {address} with something else than JSON.") from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
