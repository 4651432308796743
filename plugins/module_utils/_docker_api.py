# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from the Docker Engine of this host: GET requests over its socket.

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


class EngineError(Exception):
    """The engine does not answer, or not with what was asked for; one sentence says why."""


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """The engine behind the socket. Paths are those of the API's newest version that the engine speaks.

    https://docs.docker.com/reference/api/engine/
    """

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path

    def get(self, resource: str, *names: str, **query: Any) -> Any:
        """Return the JSON at the resource, with the names in place of its ``{}``; None if there is no such object.

        query: parameters, sent as JSON. Raises EngineError.
        """
        address = resource.format(*(quote(name, safe="/:@") for name in names))
        if query:
            address += "?" + "&".join(f"{key}={quote(json.dumps(value))}" for key, value in query.items())
        connection = _SocketConnection(self._path)
        try:
            connection.request("GET", address)
            reply = connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"Docker Engine does not answer at {self._path}: {error}.") from error
        finally:
            connection.close()
        if reply.status == http.client.NOT_FOUND:
            return None
        if reply.status != http.client.OK:
            reason = body.decode("utf-8", "replace").strip()
            raise EngineError(f"Docker Engine answers {address} with {reply.status}: {reason}.")
        try:
            return json.loads(body)
        except ValueError as error:
            raise EngineError(f"Docker Engine answers {address} with something else than JSON.") from error
