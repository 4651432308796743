# SPDX-License-Identifier: GPL-3.0-or-later
"""Where registration finds what it finds on a Pi, but in a Secret of a real cluster."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.cluster import Cluster, Refused, Status, connected
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import FilePort
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.secret_file import Secret, SecretsApi
from cluster.made import load
from integration.kubernetes.api import (
    NAMESPACES,
    Api,
    create_namespace,
    decoded,
    delete_namespace,
    encoded,
    read_kubeconfig,
)
from registration_cluster import NAME, InSecret, WatchedCluster
from registration_world import MakePi, Run


class Elsewhere:
    """The session with a cluster whose kube-system has another uid, and perhaps a database that is full."""

    def __init__(self, session: SecretsApi, uid: str, *, full: bool = False) -> None:
        self._session, self._uid, self._full = session, uid, full

    def __str__(self) -> str:
        return str(self._session)

    def read_secret(self, namespace: str, name: str) -> Any:
        return self._session.read_secret(namespace, name)

    def create_secret(self, namespace: str, body: Mapping[str, Any]) -> Any:
        self._require_space()
        return self._session.create_secret(namespace, body)

    def patch_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> Any:
        self._require_space()
        return self._session.patch_secret(namespace, name, body)

    def delete_secret(self, namespace: str, name: str, options: Mapping[str, Any]) -> Any:
        self._require_space()
        return self._session.delete_secret(namespace, name, options)

    def read_namespace(self, name: str) -> Any:
        found = self._session.read_namespace(name)
        return {**found, "metadata": {**found["metadata"], "uid": self._uid}}

    def _require_space(self) -> None:
        if self._full:
            raise Refused(Status(500, "InternalError", (), "etcdserver: mvcc: database space exceeded"))


class OnServer(InSecret):
    """A namespace of a real cluster that looks like another cluster's, whose name the test chooses."""

    def __init__(self, name: str, cluster_uid: str, namespace: str, api: Api, session: Cluster) -> None:
        self.name, self.cluster_uid, self.namespace = name, cluster_uid, namespace
        self.api, self.session = api, session

    @property
    def secret(self) -> str:
        """The path of the Secret."""
        return f"{NAMESPACES}/{self.namespace}/secrets/{NAME}"

    def reflash(self, system_id: str | None = None) -> None:
        """Another namespace of the same name would take seconds; what registration sees of it is the missing Secret."""
        self.drop()
        self.cluster_uid = system_id or self.cluster_uid

    def values(self) -> dict[str, bytes] | None:
        reply = self.api.request("GET", self.secret)
        return decoded(reply.body) if reply.code == 200 else None

    def put(self, values: Mapping[str, bytes]) -> None:
        body = {"metadata": {"name": NAME}, "data": encoded(values)}
        if self.api.exists(self.secret):
            self.api.replace(self.secret, body)
        else:
            self.api.create(self.secret.rpartition("/")[0], body)

    def drop(self) -> None:
        self.api.request("DELETE", self.secret)

    def port(self, run: Run, *, full: bool = False) -> FilePort:
        session = Elsewhere(self.session, self.cluster_uid, full=full)
        return Secret(WatchedCluster(session, run), self.namespace, NAME)


@contextmanager
def namespaces_of(name: str) -> Iterator[MakePi]:
    """Namespaces of the cluster of that name (cluster.made), one for each name of a Pi, until the block ends."""
    cluster = load(name)
    api = Api(read_kubeconfig(cluster.kubeconfig), cluster.context)
    prefix = f"pifleet-{secrets.token_hex(4)}"
    known: dict[str, str] = {}
    with connected(str(cluster.kubeconfig), cluster.context, 10.0) as session:

        def make(pi: str, cluster_uid: str) -> OnServer:
            if pi not in known:
                known[pi] = f"{prefix}-{len(known)}"
                create_namespace(api, known[pi])
            place = OnServer(pi, cluster_uid, known[pi], api, session)
            place.drop()
            return place

        yield make
        for namespace in known.values():
            delete_namespace(api, namespace, wait=0)
