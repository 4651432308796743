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


def test_a_creation_is_authorised_before_its_name_is_known(cluster: Cluster) -> None:
    cluster.forbidden = {("create", "secrets")}
    with pytest.raises(Refusal, match=r"^secrets is forbidden: "):
        cluster.create("ci", secret())


def test_a_refused_field_is_a_cause(cluster: Cluster) -> None:
    with pytest.raises(Refusal) as caught:
        cluster.create("ci", secret("a_b"))
    causes = caught.value.body["details"]["causes"]
    assert [(cause["reason"], cause["field"]) for cause in causes] == [("FieldValueInvalid", "metadata.name")]


def test_what_a_patch_makes_of_a_secret_is_quoted_where_it_is_none(cluster: Cluster) -> None:
    cluster.create("ci", secret())
    with pytest.raises(Refusal, match=r"Invalid value: .*illegal base64 data") as caught:
        cluster.patch("ci", "runner", {"data": {"b": "?"}})
    assert caught.value.code == 422
    assert A in str(caught.value)


def test_a_secret_without_data_has_no_key_for_it(cluster: Cluster) -> None:
    assert "data" not in cluster.create("ci", {"metadata": {"name": "empty"}})
    cluster.create("ci", secret())
    assert "data" not in cluster.patch("ci", "runner", {"data": {"a": None}})


def test_an_immutable_one_keeps_its_data(cluster: Cluster) -> None:
    cluster.create("ci", {**secret(), "immutable": True})
    assert refusal(cluster.patch, "ci", "runner", {"data": {"b": A}}) == (422, "Invalid")


def test_a_version_of_what_is_not_there_yet_is_refused(cluster: Cluster) -> None:
    body = {"metadata": {"name": "runner", "resourceVersion": "1"}}
    assert cluster.secrets == {}
    with pytest.raises(Refusal, match="resourceVersion should not be set") as caught:
        cluster.create("ci", body)
    assert caught.value.code == 500
