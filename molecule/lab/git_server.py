# SPDX-License-Identifier: GPL-3.0-or-later
"""A Git repository over HTTP, as GitLab serves it to jobs: only to those that bring the token of a job."""

from __future__ import annotations

import base64
import http.server
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_FILES = {"fetched": "from the repository\n"}
_IDENTITY = ("-c", "user.name=lab", "-c", "user.email=lab@lab.invalid")


@dataclass(frozen=True)
class Repository:
    """Served at http://ADDRESS:PORT/PATH.git."""

    port: int
    sha: str
    """Of the one commit of its branch main."""
    users: list[str] = field(default_factory=list)
    """Who has fetched, with which password: USER:PASSWORD."""


@contextmanager
def serving_repository(
    address: str, path: str, folder: Path, files: Mapping[str, str] = _FILES
) -> Iterator[Repository]:
    """Serve a new repository at the address, on a free port, until the block ends. files: content by name."""
    sha = _create(folder, files)
    users: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != f"/{path}.git/info/refs?service=git-upload-pack":
                return self.send_error(404)
            refs = _upload_pack(folder, b"", "--advertise-refs")
            return self._answer("advertisement", b"001e# service=git-upload-pack\n0000" + refs)

        def do_POST(self) -> None:
            if self.path != f"/{path}.git/git-upload-pack":
                return self.send_error(404)
            return self._answer("result", _upload_pack(folder, self._body()))

        def _answer(self, kind: str, body: bytes) -> None:
            method, _, credentials = self.headers.get("Authorization", "").partition(" ")
            if method != "Basic":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="GitLab"')
                self.send_header("Content-Length", "0")
                return self.end_headers()
            users.append(base64.b64decode(credentials).decode())
            self.send_response(200)
            self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers["Content-Length"]))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            """Nothing to stderr."""

    with http.server.ThreadingHTTPServer((address, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Repository(server.server_port, sha, users)
        server.shutdown()
        thread.join()


def _create(folder: Path, files: Mapping[str, str]) -> str:
    _git("init", "--quiet", "--initial-branch=main", str(folder))
    for name, text in files.items():
        (folder / name).write_text(text)
    _git("-C", str(folder), "add", *files)
    _git("-C", str(folder), *_IDENTITY, "commit", "--quiet", "--message=The first one")
    return _git("-C", str(folder), "rev-parse", "HEAD").decode().strip()


def _upload_pack(folder: Path, request: bytes, *options: str) -> bytes:
    return _git("upload-pack", "--stateless-rpc", *options, str(folder), stdin=request)


def _git(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["git", *arguments], input=stdin, check=True, capture_output=True).stdout
