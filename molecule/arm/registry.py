# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry of images, as long as it is open: https://distribution.github.io/distribution/spec/api/"""

from __future__ import annotations

import base64
import hashlib
import itertools
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from images.assembled import Image


@contextmanager
def registry(
    address: str, images: Mapping[str, Image], *, login: str = "", tls: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """Serve the images (`name:tag` -> image) over HTTP, and yield the registry's name: address and port.

    login: user:password of those who may push and pull images. Without it everybody may pull, and nobody push.
    tls: certificate and key, for HTTPS.
    """
    contents = dict(_contents(images))
    credentials = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
    uploads: dict[str, bytes] = {}
    numbers = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            if self._is_known():
                self._answer()
            else:
                self._refuse()

        def do_GET(self) -> None:
            if self._is_known():
                self.wfile.write(self._answer())
            else:
                self._refuse()

        def do_POST(self) -> None:
            """Begin to push a blob."""
            self._pushed(HTTPStatus.ACCEPTED, f"{self.path.rstrip('/')}/{next(numbers)}")

        def do_PATCH(self) -> None:
            """A part of a blob."""
            body = self._body()
            if self._may_push():
                uploads[self.path] = uploads.get(self.path, b"") + body
            self._pushed(HTTPStatus.ACCEPTED, self.path)

        def do_PUT(self) -> None:
            """The end of a blob, or a manifest."""
            place, _, query = self.path.partition("?")
            body = uploads.pop(place, b"") + self._body()
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            name = place.split("/blobs/")[0].split("/manifests/")[0]
            places = [f"{name}/blobs/{digest}"] if query else [place, f"{name}/manifests/{digest}"]
            if self._may_push():
                media_type = self.headers.get("Content-Type", "application/octet-stream")
                contents.update(dict.fromkeys(places, (body, media_type)))
            self._pushed(HTTPStatus.CREATED, places[0], digest)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _pushed(self, status: HTTPStatus, location: str, digest: str = "") -> None:
            """Answer a push whose content is kept already: the client may ask for it before this returns."""
            if not self._may_push():
                self._refuse()
                return
            self.send_response(status)
            for name, value in {"Location": location, "Docker-Content-Digest": digest, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def _is_known(self) -> bool:
            return credentials is None or self.headers.get("Authorization") == credentials

        def _may_push(self) -> bool:
            return credentials is not None and self._is_known()

        def _refuse(self) -> None:
            self.send_response(HTTPStatus.UNAUTHORIZED)
            self.send_header("WWW-Authenticate", 'Basic realm="images"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer(self) -> bytes:
            """Send the headers and return the body."""
            status, content, media_type = HTTPStatus.NOT_FOUND, b"", "application/json"
            if self.path in contents:
                status, (content, media_type) = HTTPStatus.OK, contents[self.path]
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(content).hexdigest()}")
            self.end_headers()
            return content

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so in the base class
            """Not at all: the engine says what it cannot pull."""

    server = ThreadingHTTPServer((address, 0), Handler)
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{address}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _contents(images: Mapping[str, Image]) -> Iterator[tuple[str, tuple[bytes, str]]]:
    """What is served, by path, with its media type."""
    yield "/v2/", (b"{}", "application/json")
    for reference, image in images.items():
        name, tag = reference.split(":")
        manifest_digest = f"sha256:{hashlib.sha256(image.manifest).hexdigest()}"
        for word in (tag, manifest_digest):
            yield f"/v2/{name}/manifests/{word}", (image.manifest, image.media_type)
        for digest, blob in image.blobs.items():
            yield f"/v2/{name}/blobs/{digest}", (blob, "application/octet-stream")
