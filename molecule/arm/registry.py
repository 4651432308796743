# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry from which images can be pulled, as long as it is open: https://distribution.github.io/distribution/spec/api/"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from images.assembled import Image


@contextmanager
def registry(address: str, images: Mapping[str, Image]) -> Iterator[str]:
    """Serve the images (`name:tag` -> image) over HTTP, and yield the registry's name: address and port."""
    contents = dict(_contents(images))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self.wfile.write(self._answer())

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
