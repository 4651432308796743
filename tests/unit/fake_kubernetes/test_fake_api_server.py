# SPDX-License-Identifier: GPL-3.0-or-later
"""The habits of an API server that registration depends on, each by itself; tests/fake_kubernetes names the sources."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from fake_kubernetes import Cluster, Refusal

A = base64.b64encode(b"a").decode()
TOO_LONG = base64.b64encode(bytes(1024 * 1024 + 1)).decode()


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.create_namespace("ci")
    return cluster


def secret(name: str = "runner", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data or {"a": A}}


def refusal(call: Any, *arguments: Any) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        call(*arguments)
    return caught.value.code, caught.value.body["reason"]


def test_every_write_makes_another_resource_version(cluster: Cluster) -> None:
    first = cluster.create("ci", secret())["metadata"]
    second = cluster.patch("ci", "runner", {"data": {"b": A}})["metadata"]
    assert first["uid"] == second["uid"]
    assert first["resourceVersion"] != second["resourceVersion"]


def test_a_patch_without_a_change_writes_nothing(cluster: Cluster) -> None:
    created = cluster.create("ci", secret())
    assert cluster.patch("ci", "runner", {"data": {"a": A}}) == created


def test_a_patch_merges_and_null_removes(cluster: Cluster) -> None:
    cluster.create("ci", secret(a=A, b=A))
    assert cluster.patch("ci", "runner", {"data": {"b": None, "c": A}})["data"] == {"a": A, "c": A}


def test_a_patch_of_an_older_version_is_a_conflict(cluster: Cluster) -> None:
    seen = cluster.create("ci", secret())["metadata"]["resourceVersion"]
    body = {"metadata": {"resourceVersion": seen}, "data": {"b": A}}
    cluster.patch("ci", "runner", body)
    assert refusal(cluster.patch, "ci", "runner", body) == (409, "Conflict")


def test_a_deletion_of_an_older_version_is_a_conflict(cluster: Cluster) -> None:
    seen = cluster.create("ci", secret())["metadata"]["resourceVersion"]
    cluster.patch("ci", "runner", {"data": {"b": A}})
    options = {"preconditions": {"resourceVersion": seen}}
    assert refusal(cluster.delete, "ci", "runner", options) == (409, "Conflict")
    assert cluster.delete("ci", "runner", {})["status"] == "Success"
    assert refusal(cluster.delete, "ci", "runner", {}) == (404, "NotFound")


def test_a_second_creation_is_a_conflict_of_its_own(cluster: Cluster) -> None:
    cluster.create("ci", secret())
    assert refusal(cluster.create, "ci", secret()) == (409, "AlreadyExists")


def test_reading_does_not_ask_for_the_namespace_but_creating_does(cluster: Cluster) -> None:
    with pytest.raises(Refusal, match='secrets "runner" not found'):
        cluster.get("nowhere", "runner")
    with pytest.raises(Refusal, match='namespaces "nowhere" not found'):
        cluster.create("nowhere", secret())


def test_a_namespace_that_is_being_deleted_takes_changes_but_nothing_new(cluster: Cluster) -> None:
    cluster.create("ci", secret())
    cluster.terminate_namespace("ci")
    cluster.patch("ci", "runner", {"data": {"b": A}})
    with pytest.raises(Refusal) as caught:
        cluster.create("ci", secret("other"))
    assert caught.value.code == 403
    assert caught.value.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"


def test_a_namespace_that_is_made_again_is_another_one(cluster: Cluster) -> None:
    cluster.create("ci", secret())
    before = cluster.get_namespace("ci")["metadata"]["uid"]
    cluster.delete_namespace("ci")
    cluster.create_namespace("ci")
    assert cluster.get_namespace("ci")["metadata"]["uid"] != before
    assert refusal(cluster.get, "ci", "runner") == (404, "NotFound")


def test_rights_come_before_everything(cluster: Cluster) -> None:
    cluster.forbidden = {("get", "secrets")}
    with pytest.raises(Refusal) as caught:
        cluster.get("nowhere", "runner")
    assert str(caught.value) == (
        'secrets "runner" is forbidden: User "operator" cannot get resource "secrets" in API group "" in the '
        'namespace "nowhere"'
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [({"a": "?"}, (400, "BadRequest")), ({"a/b": A}, (422, "Invalid")), ({"a": TOO_LONG}, (422, "Invalid"))],
    ids=["no base64", "no key", "too long"],
)
def test_data_is_validated(cluster: Cluster, data: dict[str, str], expected: tuple[int, str]) -> None:
    assert refusal(cluster.create, "ci", secret(**data)) == expected
