# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server as plain requests see it, without any client's opinion."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml

MERGE_PATCH = "application/merge-patch+json"
NAMESPACES = "/api/v1/namespaces"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Reply:
    code: int
    body: Any
    """The JSON, or the text where it is none."""


class Api:
    """Requests to an API server as the user of a context, who has a token or a client certificate. Raises KeyError."""

    def __init__(self, kubeconfig: Mapping[str, Any], context: str) -> None:
        chosen = _named(kubeconfig["contexts"], context)["context"]
        cluster = _named(kubeconfig["clusters"], chosen["cluster"])["cluster"]
        self.server: str = cluster["server"]
        self.authority = _authority(cluster)
        user = _named(kubeconfig["users"], chosen["user"])["user"]
        self._identity = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        tls = ssl.create_default_context(cadata=self.authority) if self.authority else None
        if tls and not self._identity:
            _load_client_certificate(tls, user)
        self._pool = urllib3.PoolManager(ssl_context=tls, retries=False)

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Reply:
        """body: sent as JSON, or as it is if it is text."""
        data = body if isinstance(body, str) else json.dumps(body)
        headers = {**self._identity, "Content-Type": content_type}
        answer = self._pool.request(
            method, self.server + path, body=None if body is None else data, headers=headers, timeout=30
        )
        try:
            return Reply(answer.status, json.loads(answer.data))
        except ValueError:
            return Reply(answer.status, answer.data.decode(errors="replace"))

    def with_token(self, token: str) -> Api:
        """The same API server for another user."""
        return Api(kubeconfig(self.server, self.authority, token, "other"), "other")

    def get(self, path: str) -> Any:
        return self._done("GET", path)

    def create(self, path: str, body: Any) -> Any:
        return self._done("POST", path, body)

    def replace(self, path: str, body: Any) -> Any:
        return self._done("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self._done("PATCH", path, body, MERGE_PATCH)

    def apply(self, path: str, body: Any, manager: str) -> Any:
        """Server-side apply, which is a conflict where a field is somebody else's."""
        return self._done("PATCH", f"{path}?fieldManager={manager}", body, "application/apply-patch+yaml")

    def delete(self, path: str) -> Any:
        return self._done("DELETE", path)

    def exists(self, path: str) -> bool:
        return self.request("GET", path).code == 200

    def _done(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        reply = self.request(method, path, body, content_type)
        if reply.code >= 300:
            raise AssertionError(f"{method} {path}: {reply}")
        return reply.body


def create_namespace(api: Api, name: str) -> None:
    """Make a namespace. A few milliseconds later its default ServiceAccount is there, too."""
    api.create(NAMESPACES, {"metadata": {"name": name}})


def delete_namespace(api: Api, name: str, *, wait: float = 60) -> None:
    """Delete a namespace. wait: seconds for it to be gone with all that it has."""
    api.delete(f"{NAMESPACES}/{name}")
    deadline = time.monotonic() + wait
    while wait and api.exists(f"{NAMESPACES}/{name}"):
        assert time.monotonic() < deadline, f"namespace {name} is not gone after {wait} s"
        time.sleep(0.2)


def service_account(
    api: Api, namespace: str, name: str, rules: Sequence[Any], cluster_rules: Sequence[Any] = ()
) -> dict[str, Any]:
    """Make a ServiceAccount with these rights, and return a kubeconfig with its token, whose context has its name.

    rules: of a Role in the namespace. cluster_rules: of a ClusterRole, until delete_cluster_role().
    """
    api.create(f"{NAMESPACES}/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    places = [(f"{RBAC}/namespaces/{namespace}", "Role", name, rules)]
    if cluster_rules:
        places.append((RBAC, "ClusterRole", cluster_role(namespace, name), cluster_rules))
    for path, kind, role, allowed in places:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
        api.create(f"{path}/{kind.lower()}s", {"metadata": {"name": role}, "rules": allowed})
        binding = {"metadata": {"name": role}, "roleRef": reference, "subjects": [subject]}
        api.create(f"{path}/{kind.lower()}bindings", binding)
    token = api.create(f"{NAMESPACES}/{namespace}/serviceaccounts/{name}/token", {"spec": {}})["status"]["token"]
    return kubeconfig(api.server, api.authority, token, name)


def cluster_role(namespace: str, name: str) -> str:
    """What the ClusterRole of a ServiceAccount of service_account() is called."""
    return f"{namespace}-{name}"


def delete_cluster_role(api: Api, namespace: str, name: str) -> None:
    for kind in ("clusterrolebindings", "clusterroles"):
        api.delete(f"{RBAC}/{kind}/{cluster_role(namespace, name)}")


def kubeconfig(server: str, authority: str, token: str, context: str) -> dict[str, Any]:
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority.encode()).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster if authority else {"server": server}}],
        "users": [{"name": context, "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }


def read_kubeconfig(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def encoded(values: Mapping[str, bytes]) -> dict[str, str]:
    """As `data` of a Secret has them."""
    return {key: base64.b64encode(value).decode() for key, value in values.items()}


def decoded(secret: Mapping[str, Any]) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return {item["name"]: item for item in items}[name]


def _authority(cluster: Mapping[str, str]) -> str:
    return _content(cluster, "certificate-authority").decode()


def _load_client_certificate(tls: ssl.SSLContext, user: Mapping[str, str]) -> None:
    """ssl reads it from files only."""
    with tempfile.TemporaryDirectory(prefix="pifleet-certificate-") as folder:
        files = [Path(folder) / name for name in ("client-certificate", "client-key")]
        for file in files:
            file.write_bytes(_content(user, file.name))
        tls.load_cert_chain(*files)


def _content(entry: Mapping[str, str], name: str) -> bytes:
    """What a kubeconfig has inline or names the file of; empty without either."""
    if f"{name}-data" in entry:
        return base64.b64decode(entry[f"{name}-data"])
    return Path(entry[name]).read_bytes() if name in entry else b""
