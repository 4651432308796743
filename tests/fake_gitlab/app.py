# SPDX-License-Identifier: GPL-3.0-or-later
"""The state as a web application: requests in, replies out, faults in between."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fake_gitlab.api import ENDPOINTS
from fake_gitlab.exchange import API, Call, Endpoint, Refusal, Reply
from fake_gitlab.journal import Entry
from fake_gitlab.state import FakeGitLab, Hook
from fake_gitlab.transport import Cut, cut


def application(gitlab: FakeGitLab) -> Starlette:
    """The ASGI application that serves `gitlab`."""
    anything = Endpoint("*", "/{rest:path}", lambda *_: Reply(404, {"error": "404 Not Found"}), "unknown")
    api = [_route(gitlab, endpoint) for endpoint in (*ENDPOINTS, anything)]
    return Starlette(routes=api)


def _route(gitlab: FakeGitLab, endpoint: Endpoint) -> Route:
    async def answer(request: Request) -> Response:
        return await _exchange(gitlab, endpoint, request)

    return Route(API + endpoint.path, answer, methods=None if endpoint.method == "*" else [endpoint.method])


async def _exchange(gitlab: FakeGitLab, endpoint: Endpoint, request: Request) -> Response:
    """Journal, fault, GitLab, fault again."""
    body = await request.body()
    try:
        call = _call(request, body)
    except ValueError:
        call = _call(request, b"")
        reply: Reply | None = Reply(400, {"error": "The request body could not be parsed"})
    else:
        reply = None
    entry = _enter(gitlab, endpoint, call)
    fault = gitlab.faults.strike(call, call.path.removeprefix(API))
    entry.fault = fault is not None
    if not _hooked(gitlab.before_request, entry):
        return await cut(request)
    if fault:
        await asyncio.sleep(0 if fault.after else fault.delay)
        if not fault.after:
            if fault.cut:
                return await cut(request)
            if isinstance(fault.reply, Reply):
                return _leave(entry, fault.reply)

    reply = reply or _carry_out(gitlab, endpoint, call)
    entry.processed, entry.runner_id, entry.user = True, call.runner_id, call.user
    if not _hooked(gitlab.after_commit, entry):
        return await cut(request)
    if fault and fault.after:
        await asyncio.sleep(fault.delay)
        if fault.cut:
            return await cut(request)
        if isinstance(fault.reply, Reply):
            reply = fault.reply
    return _leave(entry, reply)


def _hooked(hook: Hook | None, entry: Entry) -> bool:
    """Call the test's hook, if any; False when it wants the connection cut."""
    try:
        if hook:
            hook(entry)
    except Cut:
        return False
    return True


def _carry_out(gitlab: FakeGitLab, endpoint: Endpoint, call: Call) -> Reply:
    with gitlab.lock:
        try:
            return endpoint.handler(gitlab, call)
        except Refusal as refusal:
            return refusal.reply


def _enter(gitlab: FakeGitLab, endpoint: Endpoint, call: Call) -> Entry:
    system_id = call.params.get("system_id")
    with gitlab.lock:
        entry = Entry(
            number=gitlab.journal.next_number(),
            at=gitlab.clock.now(),
            method=call.method,
            path=call.path,
            params=tuple(sorted(call.params)),
            family=endpoint.family,
            client=call.client,
            system_id=system_id if isinstance(system_id, str) else None,
        )
        gitlab.journal.add(entry)
    return entry


def _leave(entry: Entry, reply: Reply) -> Response:
    entry.status = reply.status
    return respond(reply)


def respond(reply: Reply) -> Response:
    """Text is sent as it is, everything else as JSON; None is an empty body."""
    body, headers = reply.body, dict(reply.headers)
    if body is None:
        return Response(status_code=reply.status, headers=headers)
    if isinstance(body, str):
        media_type = "text/html" if body.lstrip().startswith("<") else "text/plain"
        return Response(body, reply.status, headers, None if "Content-Type" in headers else media_type)
    return Response(json.dumps(body), reply.status, headers, "application/json")


def _call(request: Request, body: bytes) -> Call:
    """Path, query and body parameters in one. Raises ValueError for a body that is no JSON object or form."""
    params = _nested(parse_qsl(request.url.query, keep_blank_values=True))
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and content_type == "application/json":
        data = json.loads(body)
        if not isinstance(data, dict):
            raise ValueError("not an object")
        params.update(data)
    elif body and content_type == "application/x-www-form-urlencoded":
        params.update(_nested(parse_qsl(body.decode(), keep_blank_values=True)))
    params.update({name: unquote(value) for name, value in request.path_params.items() if name != "rest"})
    return Call(
        request.method,
        request.url.path,
        params,
        request.headers,
        body,
        client=request.client.host if request.client else "",
        origin=f"{request.url.scheme}://{request.url.netloc}",
    )


def _nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`a[]=1&a[]=2` as a list and `a[b]=1` as a mapping, as Rails reads forms."""
    result: dict[str, Any] = {}
    for name, value in pairs:
        outer, bracket, inner = name.partition("[")
        if not bracket:
            result[name] = value
        elif inner == "]":
            result.setdefault(outer, []).append(value)
        else:
            result.setdefault(outer, {})[inner.removesuffix("]")] = value
    return result
