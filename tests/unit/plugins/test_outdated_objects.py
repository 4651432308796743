# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter outdated_objects: what is written to a cluster, and what is not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.filter.outdated_objects import outdated_objects

MANIFEST: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "runner", "namespace": "ci", "labels": {"a": "b"}},
    "spec": {
        "replicas": 1,
        "template": {
            "spec": {
                "hostNetwork": False,
                "containers": [{"name": "runner", "resources": {"limits": {"memory": "1024Mi", "cpu": 0.5}}}],
            }
        },
    },
}


def in_cluster() -> dict[str, Any]:
    """The object as the API server returns it: what was sent, in its own spelling, and what it adds."""
    (sent,) = outdated_objects([MANIFEST], [])
    found = copy.deepcopy(sent)
    found["metadata"] |= {"uid": "1", "managedFields": []}
    found["spec"]["template"]["spec"].pop("hostNetwork")
    found["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    found["spec"]["template"]["spec"]["containers"][0] |= {
        "resources": {"limits": {"memory": "1Gi", "cpu": "500m"}},
        "terminationMessagePath": "/dev/termination-log",
    }
    found["status"] = {"replicas": 1}
    return found


def test_an_object_as_its_manifest_says() -> None:
    assert outdated_objects([MANIFEST], [in_cluster()]) == []


def test_a_missing_one_and_one_of_another_namespace() -> None:
    for found in ([], [{**in_cluster(), "metadata": {"name": "runner", "namespace": "other"}}]):
        (sent,) = outdated_objects([MANIFEST], found)
        assert sent["metadata"]["annotations"].keys() == {"pifleet.ci/manifest"}
        assert sent["spec"] == MANIFEST["spec"]


def test_a_field_that_the_manifest_does_not_have_any_more() -> None:
    shorter = {**MANIFEST, "spec": {"template": MANIFEST["spec"]["template"]}}
    assert len(outdated_objects([shorter], [in_cluster()])) == 1


DRIFTS: list[tuple[str, Any]] = [
    ("replicas", 3),
    ("template", {"spec": {"containers": []}}),
    ("template", {"spec": {"containers": [{"name": "runner"}]}}),
    (
        "template",
        {"spec": {"containers": [{"name": "runner", "resources": {"limits": {"memory": "2Gi", "cpu": "0.5"}}}]}},
    ),
    ("template", None),
]


@pytest.mark.parametrize(("field", "value"), DRIFTS)
def test_what_somebody_else_has_changed(field: str, value: Any) -> None:
    found = in_cluster()
    found["spec"][field] = value
    assert len(outdated_objects([MANIFEST], [found])) == 1


def test_a_quantity_that_is_none_is_compared_as_text() -> None:
    manifest = {"kind": "A", "metadata": {"name": "a"}, "spec": {"limits": {"memory": "much"}}}
    (sent,) = outdated_objects([manifest], [])
    assert outdated_objects([manifest], [sent]) == []
    assert len(outdated_objects([manifest], [{**sent, "spec": {"limits": {"memory": "1Gi"}}}])) == 1
