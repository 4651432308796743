# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves the application with uvicorn."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette

from fake_gitlab.app import application
from fake_gitlab.state import FakeGitLab
from fake_gitlab.tls import TLSFiles
from fake_gitlab.transport import CuttableProtocol


@dataclass(frozen=True)
class Server:
    gitlab: FakeGitLab
    url: str
    """Without a trailing slash; its host is 127.0.0.1."""
    ca_path: str | None
    """Path of the CA certificate that signed the server's; None without TLS."""


@contextmanager
def serving(gitlab: FakeGitLab, tls: TLSFiles | None = None, host: str = "127.0.0.1") -> Iterator[Server]:
    """Serve `gitlab` on a free port in a background thread until the block ends."""
    with listening(uvicorn_config(application(gitlab), tls), host) as url:
        yield Server(gitlab, url, tls.ca if tls else None)


@contextmanager
def listening(config: uvicorn.Config, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve an application on a free port in a background thread until the block ends; yields its URL."""
    listener = socket.create_server((host, 0))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="fake server", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start; the reason is on stderr")
        time.sleep(0.001)
    try:
        yield f"{'https' if config.ssl_certfile else 'http'}://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
        listener.close()


def uvicorn_config(app: Starlette, tls: TLSFiles | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=CuttableProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
