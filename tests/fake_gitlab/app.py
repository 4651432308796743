# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application: parses requests, records them in the journal, applies faults, dispatches to the endpoints."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from fake_gitlab import api, control, page
from fake_gitlab.api import graphql
from fake_gitlab.endpoint import API, GRAPHQL, Call, Endpoint, Reply, api_path
from fake_gitlab.faults import REPLIES, Fault
from fake_gitlab.journal import Entry
from fake_gitlab.state import FakeGitLab, Hook
from fake_gitlab.transport import Cut, cut

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_log = logging.getLogger("fake_gitlab")


def application(gitlab: FakeGitLab) -> Starlette:
    """The ASGI application that serves `gitlab`."""
    not_found = Endpoint("*", "/{rest:path}", lambda *_: Reply(404, {"error": "404 Not Found"}), "unknown")
    return Starlette(
        routes=[
            *(_api_route(gitlab, API + endpoint.path, endpoint) for endpoint in (*api.ENDPOINTS, not_found)),
            _api_route(gitlab, GRAPHQL, graphql.ENDPOINT),
            *(_control_route(gitlab, endpoint) for endpoint in control.ENDPOINTS),
            *_page_routes(gitlab),
        ]
    )


def _api_route(gitlab: FakeGitLab, path: str, endpoint: Endpoint) -> Route:
    async def answer(request: Request) -> Response:
        return await _handle(gitlab, endpoint, request)

    return Route(path, answer, methods=_METHODS if endpoint.method == "*" else [endpoint.method])


def _control_route(gitlab: FakeGitLab, endpoint: Endpoint) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return _response(gitlab, api.dispatch(gitlab, endpoint, _parse_call(request, await request.body())))
        except (TypeError, ValueError, KeyError) as error:
            return _response(gitlab, Reply(400, {"error": str(error)}))

    return Route(f"/_fake{endpoint.path}", answer, methods=[endpoint.method])


def _page_routes(gitlab: FakeGitLab) -> list[Route]:
    async def overview(request: Request) -> Response:
        with gitlab.lock:
            return HTMLResponse(page.overview(gitlab))

    async def job(request: Request) -> Response:
        with gitlab.lock:
            found = gitlab.jobs.get(request.path_params["id"])
            return HTMLResponse(page.job_page(gitlab, found)) if found else _response(gitlab, REPLIES["not_found_page"])

    return [Route("/", overview), Route("/jobs/{id:int}", job)]


async def _handle(gitlab: FakeGitLab, endpoint: Endpoint, request: Request) -> Response:
    """Record the request, then carry it out between the `before` and `after` halves of a matching fault."""
    endpoint, call = await _parse(endpoint, request)
    entry = _record(gitlab, endpoint, call)
    resets = gitlab.resets
    fault = gitlab.faults.match(call, api_path(call.path))
    entry.fault = fault is not None
    before, after = (None, fault) if fault and fault.after else (fault, None)
    try:
        _run_hook(gitlab.before_request, entry)
        reply = await _apply(before)
        if gitlab.resets != resets:
            raise Cut
        if reply is None:
            reply = api.dispatch(gitlab, endpoint, call)
            entry.processed, entry.runner_id, entry.user = True, call.runner_id, call.user
            _run_hook(gitlab.after_commit, entry)
            reply = await _apply(after) or reply
    except Cut:
        _log.info("%s", entry)
        return await cut(request)
    entry.status = reply.status
    _log.info("%s", entry)
    return _response(gitlab, reply)


async def _parse(endpoint: Endpoint, request: Request) -> tuple[Endpoint, Call]:
    """The request as a `Call`; when its body cannot be parsed, the endpoint is replaced by one that replies 400."""
    body = await request.body()
    try:
        return endpoint, _parse_call(request, body)
    except ValueError:
        bad_request = Reply(400, {"error": "The request body could not be parsed"})
        return replace(endpoint, handler=lambda *_: bad_request), _parse_call(request, b"")


async def _apply(fault: Fault | None) -> Reply | None:
    """Wait `fault.delay` seconds, then raise Cut or return the fault's reply; None when it replaces nothing."""
    if fault is None:
        return None
    await asyncio.sleep(fault.delay)
    if fault.cut:
        raise Cut
    return fault.reply if isinstance(fault.reply, Reply) else None


def _run_hook(hook: Hook | None, entry: Entry) -> None:
    if hook:
        hook(entry)


def _record(gitlab: FakeGitLab, endpoint: Endpoint, call: Call) -> Entry:
    system_id = call.params.get("system_id")
    with gitlab.lock:
        entry = Entry(
            number=gitlab.journal.next_number(),
            at=gitlab.clock.now(),
            method=call.method,
            path="/graphql" if call.path == GRAPHQL else call.path,
            params=tuple(sorted(call.params)),
            family=endpoint.family,
            client=call.client,
            system_id=system_id if isinstance(system_id, str) else None,
        )
        gitlab.journal.add(entry)
    return entry


def _response(gitlab: FakeGitLab, reply: Reply) -> Response:
    """Send text as it is, None as an empty body, everything else as JSON; `Date` is the fake's clock."""
    body, headers = reply.body, {"Date": format_datetime(gitlab.clock.now(), usegmt=True), **reply.headers}
    if body is None:
        return Response(status_code=reply.status, headers=headers)
    if isinstance(body, str):
        media_type = "text/html" if body.lstrip().startswith("<") else "text/plain"
        return Response(body, reply.status, headers, None if "Content-Type" in headers else media_type)
    return Response(json.dumps(body), reply.status, headers, "application/json")


def _parse_call(request: Request, body: bytes) -> Call:
    """Merge path, query and body parameters. Raises ValueError for a body that is neither a JSON object nor a form."""
    params = _nested(parse_qsl(request.url.query, keep_blank_values=True))
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and content_type == "application/json":
        data = json.loads(body)
        if not isinstance(data, dict):
            raise ValueError("not an object")
        params.update(data)
    elif body and content_type == "application/x-www-form-urlencoded":
        params.update(_nested(parse_qsl(body.decode(), keep_blank_values=True)))
    params.update({name: unquote(str(value)) for name, value in request.path_params.items() if name != "rest"})
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
    """Decode `a[]=1&a[]=2` to a list and `a[b]=1` to a mapping, as Rack does (`parse_nested_query`)."""
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
