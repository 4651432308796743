# SPDX-License-Identifier: GPL-3.0-or-later
"""A client for the part of the Docker Engine API that a job needs: https://docs.docker.com/reference/api/engine/"""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import struct
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from runner_standin.stop import Stop

DEFAULT_HOST = "unix:///var/run/docker.sock"

_POLL_INTERVAL = 0.2
_TIMEOUT = 120.0
_FRAME = struct.Struct(">BxxxI")


class EngineError(Exception):
    """The engine returned an error, or no response (`status` 0)."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)


class Engine:
    """A Docker engine at `unix:///path` or `tcp://host:port`. Its methods raise EngineError."""

    def __init__(self, host: str = "") -> None:
        self._url = urllib.parse.urlsplit(host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST)

    def has_image(self, name: str) -> bool:
        try:
            self._call("GET", f"/images/{urllib.parse.quote(name)}/json")
        except EngineError as error:
            if error.status == 404:
                return False
            raise
        return True

    def pull(self, name: str, auth: str = "") -> None:
        """auth: as registry_auth() returns it."""
        query = urllib.parse.urlencode({"fromImage": name if ":" in name.rpartition("/")[2] else f"{name}:latest"})
        progress = self._request("POST", f"/images/create?{query}", headers={"X-Registry-Auth": auth} if auth else {})
        for line in progress.splitlines():
            if error := json.loads(line).get("error"):
                raise EngineError(error)

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        self._call("POST", "/volumes/create", {"Name": name, "Labels": labels})

    def remove_volume(self, name: str) -> None:
        self._call("DELETE", f"/volumes/{name}?force=true")

    def create_container(self, name: str, settings: Mapping[str, Any]) -> str:
        """Create a container and return its id."""
        return self._call("POST", f"/containers/create?{urllib.parse.urlencode({'name': name})}", settings)["Id"]

    def container(self, container: str) -> Any:
        """What the engine says of a container: its Config, NetworkSettings and more."""
        return self._call("GET", f"/containers/{container}/json")

    def start(self, container: str) -> None:
        self._call("POST", f"/containers/{container}/start")

    def exit_code(self, container: str) -> int:
        return self._call("POST", f"/containers/{container}/wait")["StatusCode"]

    def remove_container(self, container: str) -> None:
        self._call("DELETE", f"/containers/{container}?force=true&v=true")

    def read(self, container: str, path: str) -> bytes | None:
        """A tar of a file or directory in a container, under its last name; None where there is none."""
        try:
            return self._request("GET", f"/containers/{container}/archive?{urllib.parse.urlencode({'path': path})}")
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def write(self, container: str, path: str, archive: bytes) -> None:
        """Unpack a tar in a directory of a container."""
        query = urllib.parse.urlencode({"path": path})
        self._request("PUT", f"/containers/{container}/archive?{query}", archive)

    def attach(self, container: str) -> socket.socket:
        """Attach to a created container before its start: a stream to its stdin, and from its stdout and stderr."""
        connection = self._connection()
        query = "stream=1&stdin=1&stdout=1&stderr=1"
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        connection.request("POST", f"/containers/{container}/attach?{query}", headers=headers)
        response = connection.getresponse()
        if response.status not in (101, 200):
            raise EngineError(_message(response.read()), response.status)
        return connection.sock

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return json.loads(self._request(method, path, body) or b"null")

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        connection = self._connection()
        try:
            kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": kind, **(headers or {})})
            response = connection.getresponse()
            reply = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"cannot connect to the Docker engine at {self._url.geturl()}: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise EngineError(_message(reply), response.status)
        return reply

    def _connection(self) -> http.client.HTTPConnection:
        if self._url.scheme == "unix":
            return _UnixConnection(self._url.path)
        return http.client.HTTPConnection(self._url.hostname or "localhost", self._url.port or 2375, timeout=_TIMEOUT)


def output(stream: socket.socket, stop: Stop) -> Iterator[bytes]:
    """Yield the output of a container without a TTY (multiplexed frames) until it ends. Raises JobStopped."""
    buffer = b""
    while True:
        stop.check()
        if not select.select([stream], [], [], _POLL_INTERVAL)[0]:
            continue
        data = stream.recv(65536)
        if not data:
            return
        buffer += data
        while len(buffer) >= _FRAME.size:
            _, length = _FRAME.unpack_from(buffer)
            if len(buffer) < _FRAME.size + length:
                break
            yield buffer[_FRAME.size : _FRAME.size + length]
            buffer = buffer[_FRAME.size + length :]


def _message(body: bytes) -> str:
    try:
        return json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()
