# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake API server answers as the real one does, word by word: the same requests to both."""

from __future__ import annotations

import base64
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import fake_kubernetes
import pytest
from integration.kubernetes.api import MERGE_PATCH, NAMESPACES, Api, Reply, delete_namespace, encoded, service_account
from lab.fleet import eventually

A, B = encoded({"": b"a"})[""], encoded({"": b"b"})[""]
USER = "limited"
FINALIZER = "pifleet.test/held"
UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
QUOTED = re.compile(r'"\{.*\}"', re.DOTALL)
WHO = re.compile(r'User "[^"]*"')


@dataclass
class Side(ABC):
    """One of the two API servers, a namespace that is in both, and the versions that it has told."""

    api: Api
    namespace: str
    versions: list[str] = field(default_factory=list)

    @abstractmethod
    def let_go(self) -> None:
        """Delete the namespace in such a way that it does not end."""

    @abstractmethod
    def limit(self, count: int) -> None:
        """Let the namespace have no more Secrets than this."""

    @abstractmethod
    def may(self, *verbs: str) -> Api:
        """The API for a user who may do no more than this with Secrets of the namespace."""

    @property
    def secrets(self) -> str:
        return f"{NAMESPACES}/{self.namespace}/secrets"

    def create(self, name: str = "runner", **data: str) -> Reply:
        return self.post(body(name, data or {"a": A}))

    def post(self, secret: Any) -> Reply:
        return self._told(self.api.request("POST", self.secrets, secret))

    def patch(self, patch: Any, name: str = "runner", content_type: str = MERGE_PATCH) -> Reply:
        return self._told(self.api.request("PATCH", f"{self.secrets}/{name}", patch, content_type))

    def patch_as_of(self, version: str, data: dict[str, str | None], name: str = "runner") -> Reply:
        return self.patch({"metadata": {"resourceVersion": version}, "data": data}, name)

    def delete(self, options: Any = None, name: str = "runner") -> Reply:
        return self.api.request("DELETE", f"{self.secrets}/{name}", options)

    def get(self, name: str = "runner", namespace: str = "") -> Reply:
        return self.api.request("GET", f"{NAMESPACES}/{namespace or self.namespace}/secrets/{name}")

    def _told(self, reply: Reply) -> Reply:
        self.versions.append(reply.body.get("metadata", {}).get("resourceVersion", ""))
        return reply


@dataclass
class Real(Side):
    def let_go(self) -> None:
        """A finalizer holds it."""
        self.api.create(self.secrets, {"metadata": {"name": "held", "finalizers": [FINALIZER]}})
        delete_namespace(self.api, self.namespace, wait=0)

    def limit(self, count: int) -> None:
        path = f"{NAMESPACES}/{self.namespace}/resourcequotas"
        self.api.create(path, {"metadata": {"name": "objects"}, "spec": {"hard": {"secrets": count}}})
        eventually(lambda: "hard" in self.api.get(f"{path}/objects").get("status", {}))

    def may(self, *verbs: str) -> Api:
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}]
        return Api(service_account(self.api, self.namespace, USER, rules), USER)


@dataclass
class Fake(Side):
    cluster: fake_kubernetes.Cluster = field(default_factory=fake_kubernetes.Cluster)

    def let_go(self) -> None:
        self.cluster.terminate_namespace(self.namespace)

    def limit(self, count: int) -> None:
        self.cluster.quota = count

    def may(self, *verbs: str) -> Api:
        self.cluster.forbidden = {(verb, "secrets") for verb in {"get", "create", "patch", "delete"} - set(verbs)}
        return self.api


def body(name: str, data: dict[str, str], **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": data, **fields}


@pytest.fixture
def real(api: Api, namespace: str) -> Iterator[Side]:
    side = Real(api, namespace)
    yield side
    if api.exists(f"{side.secrets}/held"):
        api.patch(f"{side.secrets}/held", {"metadata": {"finalizers": None}})


@pytest.fixture
def fake(namespace: str) -> Iterator[Side]:
    with fake_kubernetes.serving() as server:
        server.clusters["fake"] = cluster = fake_kubernetes.Cluster()
        cluster.create_namespace(namespace)
        yield Fake(Api(json.loads(server.kubeconfig("fake")), "fake"), namespace, cluster=cluster)


def create(side: Side) -> Iterator[Reply]:
    yield side.create()


def create_twice(side: Side) -> Iterator[Reply]:
    yield side.create()
    yield side.create(b=B)


def create_in_no_namespace(side: Side) -> Iterator[Reply]:
    yield side.api.request("POST", f"{NAMESPACES}/{side.namespace}-not/secrets", body("runner", {"a": A}))


def create_with_a_version(side: Side) -> Iterator[Reply]:
    yield side.post({**body("a", {}), "metadata": {"name": "a", "resourceVersion": "1"}})


def create_without_data(side: Side) -> Iterator[Reply]:
    yield side.post({"metadata": {"name": "a"}})


def create_with_a_bad_name(side: Side) -> Iterator[Reply]:
    yield side.create("a_b")


def create_with_a_bad_key(side: Side) -> Iterator[Reply]:
    yield side.create(**{"a/b": A})


def create_without_base64(side: Side) -> Iterator[Reply]:
    yield side.create(a="?")


def create_too_much(side: Side) -> Iterator[Reply]:
    yield side.create(a=base64.b64encode(bytes(1024 * 1024 + 1)).decode())


def read_what_is_not_there(side: Side) -> Iterator[Reply]:
    yield side.get()
    yield side.get(namespace=f"{side.namespace}-not")
    yield side.api.request("GET", f"{NAMESPACES}/{side.namespace}-not")


def read(side: Side) -> Iterator[Reply]:
    side.create()
    yield side.get()


def patch(side: Side) -> Iterator[Reply]:
    side.create()
    yield side.patch_as_of(side.versions[0], {"a": None, "b": B})
    yield side.get()


def patch_without_a_change(side: Side) -> Iterator[Reply]:
    side.create()
    yield side.patch_as_of(side.versions[0], {"a": A})


def patch_what_others_changed(side: Side) -> Iterator[Reply]:
    side.create()
    side.patch({"data": {"c": A}})
    yield side.patch_as_of(side.versions[0], {"b": B})
    yield side.get()


def patch_without_a_change_what_others_changed(side: Side) -> Iterator[Reply]:
    """Is the version compared where there is nothing to write?"""
    side.create()
    side.patch({"data": {"c": A}})
    yield side.patch_as_of(side.versions[0], {"a": A})


def patch_what_was_made_again(side: Side) -> Iterator[Reply]:
    side.create()
    side.delete()
    side.create()
    yield side.patch_as_of(side.versions[0], {"b": B})


def patch_what_is_gone(side: Side) -> Iterator[Reply]:
    side.create()
    side.delete()
    yield side.patch_as_of(side.versions[0], {"b": B})


def patch_all_keys_away(side: Side) -> Iterator[Reply]:
    side.create()
    yield side.patch({"data": {"a": None}})
    yield side.get()


def patch_strategically(side: Side) -> Iterator[Reply]:
    side.create()
    yield side.patch({"data": {"a": None, "b": B}}, content_type="application/strategic-merge-patch+json")


def patch_in_another_format(side: Side) -> Iterator[Reply]:
    side.create()
    yield side.patch({"data": {}}, content_type="application/json")


def patch_an_immutable_one(side: Side) -> Iterator[Reply]:
    side.post(body("runner", {"a": A}, immutable=True))
    yield side.patch({"data": {"b": B}})


def patch_a_bad_key(side: Side) -> Iterator[Reply]:
    side.create()
    yield side.patch({"data": {"a/b": A}})


def patch_without_base64(side: Side) -> Iterator[Reply]:
    side.create()
    yield side.patch({"data": {"a": "?"}})


def delete(side: Side) -> Iterator[Reply]:
    side.create()
    yield side.delete({"preconditions": {"resourceVersion": side.versions[0]}})
    yield side.get()


def delete_what_others_changed(side: Side) -> Iterator[Reply]:
    side.create()
    side.patch({"data": {"b": B}})
    yield side.delete({"preconditions": {"resourceVersion": side.versions[0]}})
    yield side.get()


def delete_what_was_made_again(side: Side) -> Iterator[Reply]:
    side.create()
    side.delete()
    side.create()
    yield side.delete({"preconditions": {"resourceVersion": side.versions[0]}})


def delete_what_is_gone(side: Side) -> Iterator[Reply]:
    yield side.delete({"preconditions": {"resourceVersion": "1"}})


def create_in_a_namespace_that_is_going(side: Side) -> Iterator[Reply]:
    side.create("before")
    side.let_go()
    yield side.create("after")
    yield side.patch({"data": {"b": B}}, "before")


def create_over_a_quota(side: Side) -> Iterator[Reply]:
    side.limit(0)
    yield side.create()


def do_what_one_may_not(side: Side) -> Iterator[Reply]:
    side.create()
    api = side.may("list")
    path = f"{side.secrets}/runner"
    yield api.request("GET", path)
    yield api.request("POST", side.secrets, body("other", {"a": A}))
    yield api.request("PATCH", path, {"data": {"b": B}}, MERGE_PATCH)
    yield api.request("DELETE", path)


def ask_with_a_wrong_token(side: Side) -> Iterator[Reply]:
    yield side.api.with_token("wrong").request("GET", f"{side.secrets}/runner")


EXCHANGES: list[Callable[[Side], Iterator[Reply]]] = [
    create, create_twice, create_in_no_namespace, create_with_a_version, create_without_data,
    create_with_a_bad_name, create_with_a_bad_key, create_without_base64, create_too_much,
    read_what_is_not_there, read,
    patch, patch_without_a_change, patch_what_others_changed, patch_without_a_change_what_others_changed,
    patch_what_was_made_again, patch_what_is_gone, patch_all_keys_away, patch_strategically, patch_in_another_format,
    patch_an_immutable_one, patch_a_bad_key, patch_without_base64,
    delete, delete_what_others_changed, delete_what_was_made_again, delete_what_is_gone,
    create_in_a_namespace_that_is_going, create_over_a_quota, do_what_one_may_not, ask_with_a_wrong_token,
]  # fmt: skip


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.__name__)
def test_both_answer_alike(exchange: Callable[[Side], Iterator[Reply]], real: Side, fake: Side) -> None:
    expected = [_plain(reply, real) for reply in exchange(real)]
    assert [_plain(reply, fake) for reply in exchange(fake)] == expected


def test_both_quote_what_a_secret_holds(real: Side, fake: Side) -> None:
    """So a message of the API server is not to be shown as it is."""
    for side in (real, fake):
        side.create(token=A)
        said = side.patch({"data": {"b": "?"}}).body
        assert f'\\"token\\":\\"{A}\\"' in said["message"]


def _plain(reply: Reply, side: Side) -> Any:
    """An answer without what differs from server to server: versions in the order in which they came, uids, users."""
    return reply.code, _without_chance(reply.body, side.versions)


def _without_chance(value: Any, versions: list[str]) -> Any:
    if isinstance(value, dict):
        unknown = ("managedFields", "creationTimestamp")  # the fake has none
        return {key: _without_chance(item, versions) for key, item in value.items() if key not in unknown}
    if isinstance(value, list):
        return [_without_chance(item, versions) for item in value]
    if not isinstance(value, str):
        return value
    for number, version in reversed(list(enumerate(versions))):
        if version:
            value = re.sub(rf"\b{version}\b", f"version {number}", value)
    for pattern in (UID, QUOTED, WHO):
        value = pattern.sub("(some)", value)
    return value
