# SPDX-License-Identifier: GPL-3.0-or-later
"""Dropping TCP connections, which ASGI offers no way to do."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol


class Cut(Exception):
    """Raised by a fault or a hook to drop the connection."""


_KEY = "fake_gitlab.transport"


class CuttableProtocol(H11Protocol):
    """HTTP/1.1 that passes its transport to the application in the ASGI scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Head and body are two writes; Nagle's algorithm delays the second until the client's ACK, about 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        application = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_KEY] = transport
            await application(scope, receive, send)

        self.app = with_transport


class _NoResponse(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The connection is gone: send nothing."""


async def cut(request: Request) -> Response:
    """Drop the connection without a reply."""
    transport: Any = request.scope[_KEY]
    transport.abort()
    while not await request.is_disconnected():
        await asyncio.sleep(0)
    return _NoResponse()
