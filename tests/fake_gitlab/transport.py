# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting connections: the one thing that an ASGI application cannot do by itself."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol


class Cut(Exception):
    """Raised by a hook: drop the connection now."""


_KEY = "fake_gitlab.transport"


class CuttableProtocol(H11Protocol):
    """HTTP/1.1 that lends its transport to the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Head and body leave in two writes; without this the second waits 40 ms for the client's acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        application = self.app

        async def lend(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_KEY] = transport
            await application(scope, receive, send)

        self.app = lend


class _NoResponse(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """There is nobody left to answer."""


async def cut(request: Request) -> Response:
    """Drop the connection without a byte of reply."""
    transport: Any = request.scope[_KEY]
    transport.abort()
    while not await request.is_disconnected():
        await asyncio.sleep(0)
    return _NoResponse()
