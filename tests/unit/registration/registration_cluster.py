# SPDX-License-Identifier: GPL-3.0-or-later
"""Where registration finds what it finds on a Pi, but in a Secret: a namespace of a fake cluster, over real HTTP.

To tests it looks like a Pi: a new card is a namespace that was deleted and made again, another board another cluster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import fake_kubernetes
from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.cluster import Cluster, Refused, connected
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import FilePort
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.secret_file import (
    CONFIG,
    SYSTEM_ID,
    Secret,
    SecretsApi,
    derived_system_id,
    secret_data,
)
from registration_world import Pi, Run

NAMESPACE, NAME = "gitlab-runner", "runner"


class WatchedCluster:
    """The real client, each request an event of the run."""

    def __init__(self, cluster: SecretsApi, run: Run) -> None:
        self._cluster, self._run = cluster, run

    def __str__(self) -> str:
        return str(self._cluster)

    def read_secret(self, namespace: str, name: str) -> Any:
        return self._event("read", lambda: self._cluster.read_secret(namespace, name))

    def create_secret(self, namespace: str, body: Mapping[str, Any]) -> Any:
        return self._event("write", lambda: self._cluster.create_secret(namespace, body))

    def patch_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> Any:
        return self._event("write", lambda: self._cluster.patch_secret(namespace, name, body))

    def delete_secret(self, namespace: str, name: str, options: Mapping[str, Any]) -> Any:
        return self._event("remove", lambda: self._cluster.delete_secret(namespace, name, options))

    def read_namespace(self, name: str) -> Any:
        return self._event("identify", lambda: self._cluster.read_namespace(name))

    def _event(self, name: str, request: Callable[[], Any]) -> Any:
        """A refusal is an answer like any other: what strikes after the event strikes after it, too."""

        def answered() -> Any:
            try:
                return request()
            except Refused as refusal:
                return refusal

        answer = self._run.event(name, answered)
        if isinstance(answer, Refused):
            raise answer
        return answer


class InSecret(Pi, ABC):
    """A place with a Secret in some cluster, whose kube-system has the uid `cluster_uid`."""

    name: str
    namespace = NAMESPACE
    cluster_uid: str
    session: SecretsApi

    @abstractmethod
    def values(self) -> dict[str, bytes] | None:
        """What the Secret holds, None if there is none."""

    @abstractmethod
    def put(self, values: Mapping[str, bytes]) -> None:
        """Somebody makes the Secret one with exactly these values."""

    @abstractmethod
    def drop(self) -> None:
        """Somebody deletes the Secret, if it is there."""

    @property
    def content(self) -> str | None:
        return self._value(CONFIG)

    @content.setter
    def content(self, content: str | None) -> None:
        if content is None:
            self.drop()
        else:
            self._put(content, self.system_id if self.seeded else None)

    @property
    def seeded(self) -> bool:
        return self._value(SYSTEM_ID) is not None

    @seeded.setter
    def seeded(self, seeded: bool) -> None:
        if self.content is not None:
            self._put(self.content, self.system_id if seeded else None)

    @property
    def system_id(self) -> str:
        return self._value(SYSTEM_ID) or derived_system_id(self.cluster_uid, self.namespace, NAME)

    @system_id.setter
    def system_id(self, system_id: str) -> None:
        if self.seeded and self.content is not None:
            self._put(self.content, system_id)

    def port(self, run: Run, *, full: bool = False) -> FilePort:
        return Secret(WatchedCluster(self.session, run), self.namespace, NAME)

    def _value(self, key: str) -> str | None:
        value = (self.values() or {}).get(key)
        return None if value is None else value.decode()

    def _put(self, content: str, system_id: str | None) -> None:
        """Without a system ID: config.toml alone, without what is made of it."""
        values = secret_data(content, system_id) if system_id else {CONFIG: content}
        self.put({key: value.encode() for key, value in values.items() if value is not None})


class InCluster(InSecret):
    """A namespace of a fake cluster."""

    def __init__(self, name: str, system_id: str, cluster: fake_kubernetes.Cluster, session: SecretsApi) -> None:
        self.name, self.cluster, self.session = name, cluster, session
        self.reflash(system_id)

    def reflash(self, system_id: str | None = None) -> None:
        if NAMESPACE in self.cluster.namespaces:
            self.cluster.delete_namespace(NAMESPACE)
        self.cluster.create_namespace(NAMESPACE)
        if system_id:
            self.cluster.namespaces["kube-system"]["metadata"]["uid"] = system_id

    def values(self) -> dict[str, bytes] | None:
        return self.cluster.values(NAMESPACE, NAME)

    def put(self, values: Mapping[str, bytes]) -> None:
        self.cluster.put(NAMESPACE, NAME, values)

    def drop(self) -> None:
        self.cluster.secrets.pop((NAMESPACE, NAME), None)

    @property
    def cluster_uid(self) -> str:  # type: ignore[override] # read-only here
        uid: str = self.cluster.namespaces["kube-system"]["metadata"]["uid"]
        return uid

    def port(self, run: Run, *, full: bool = False) -> FilePort:
        self.cluster.database_full = full
        return super().port(run)


class Clusters:
    """A cluster for each name, and the client's session with it, which is kept."""

    def __init__(self, server: fake_kubernetes.Server, directory: Path, sessions: ExitStack) -> None:
        self.server, self._directory, self._open = server, directory, sessions
        self._sessions: dict[str, Cluster] = {}

    def pi(self, name: str, system_id: str) -> InCluster:
        cluster = self.server.clusters[name] = fake_kubernetes.Cluster()
        return InCluster(name, system_id, cluster, self.session(name))

    def session(self, name: str) -> Cluster:
        if name not in self._sessions:
            kubeconfig = self._directory / name
            kubeconfig.write_text(self.server.kubeconfig(name))
            self._sessions[name] = self._open.enter_context(connected(str(kubeconfig), name, 10.0))
        return self._sessions[name]


@contextmanager
def running(directory: Path) -> Iterator[Clusters]:
    with fake_kubernetes.serving() as server, ExitStack() as sessions:
        yield Clusters(server, directory, sessions)
