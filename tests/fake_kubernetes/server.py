# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves clusters over HTTP, each below a path of its own, as a proxy in front of several does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fake_gitlab.server import listening, uvicorn_config
from fake_gitlab.tls import TLSFiles
from fake_gitlab.transport import cut
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fake_kubernetes.cluster import Cluster, Refusal

ANSWERS: dict[str, Callable[[Cluster, Request, Any], dict[str, Any]]] = {
    "GET": lambda cluster, request, _body: cluster.get(**request.path_params),
    "POST": lambda cluster, request, body: cluster.create(**request.path_params, body=body),
    "PATCH": lambda cluster, request, body: cluster.patch(**request.path_params, body=body),
    "DELETE": lambda cluster, request, body: cluster.delete(**request.path_params, options=body or {}),
}
PATCHES = ("application/merge-patch+json", "application/strategic-merge-patch+json")


@dataclass
class Server:
    """clusters: by name. instead: what every request is answered with, None for the API itself, "cut" for nothing."""

    url: str
    ca_path: str | None
    clusters: dict[str, Cluster]
    instead: Response | str | None = None

    def kubeconfig(self, *names: str, **user: str) -> str:
        """A kubeconfig in JSON, which is YAML, with a context for each of these clusters, or for all of them."""
        authority = {"certificate-authority": self.ca_path} if self.ca_path else {}
        chosen = names or tuple(self.clusters)
        clusters = [{"name": name, "cluster": {"server": f"{self.url}/{name}", **authority}} for name in chosen]
        users = [{"name": name, "user": user or {"token": self.clusters[name].token}} for name in chosen]
        contexts = [{"name": name, "context": {"cluster": name, "user": name}} for name in chosen]
        found = {"apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": users, "contexts": contexts}
        return json.dumps(found)


@contextmanager
def serving(tls: TLSFiles | None = None) -> Iterator[Server]:
    """Serve clusters on a free port until the block ends; there is none yet."""
    server = Server("", tls.ca if tls else None, {})
    with listening(uvicorn_config(application(server), tls)) as server.url:
        yield server


def application(server: Server) -> Starlette:
    async def answer(request: Request) -> Response:
        if server.instead == "cut":
            return await cut(request)
        if isinstance(server.instead, Response):
            return server.instead
        try:
            return JSONResponse(
                _answer(server, request, await request.body()), 201 if request.method == "POST" else 200
            )
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.code)

    base = "/{cluster}/api/v1/namespaces/{namespace}"
    return Starlette(
        routes=[
            Route(base, answer, methods=["GET"]),
            Route(f"{base}/secrets", answer, methods=["POST"]),
            Route(f"{base}/secrets/{{name}}", answer, methods=["GET", "PATCH", "DELETE"]),
        ]
    )


def _answer(server: Server, request: Request, body: bytes) -> dict[str, Any]:
    cluster = server.clusters[request.path_params.pop("cluster")]
    if request.headers.get("authorization") != f"Bearer {cluster.token}":
        raise Refusal(401, "Unauthorized", "Unauthorized")
    if request.method == "PATCH" and request.headers["content-type"] not in PATCHES:
        raise Refusal(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    if not request.url.path.partition("/namespaces/")[2].partition("/")[2]:
        return cluster.get_namespace(request.path_params["namespace"])
    return ANSWERS[request.method](cluster, request, json.loads(body or b"null"))
