# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which objects of a cluster are not as their manifests say, so that only these are written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._plain import to_plain

DOCUMENTATION = r"""
name: outdated_objects
short_description: Manifests of Kubernetes that differ from what a cluster has
version_added: 1.0.0
description:
  - Returns those of the manifests whose object is missing in a cluster, or is not as the manifest says.
  - An object may have fields that its manifest has not, for the API server and its controllers add some. For fields
    that a manifest does not have any more, each gets an annotation C(pifleet.ci/manifest) with a checksum of itself.
  - M(kubernetes.core.k8s) sends a request for each object that it is given, whether the object differs or not.
options:
  _input:
    description: The manifests.
    type: list
    elements: dict
    required: true
  found:
    description: The objects that the cluster has, as M(kubernetes.core.k8s_info) returns them.
    type: list
    elements: dict
    required: true
positional: found
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Write what differs
  kubernetes.core.k8s:
    resource_definition: "{{ manifests | pifleet.ci.outdated_objects(gathered.resources) }}"
    apply: true
    server_side_apply:
      field_manager: pifleet.ci
"""

RETURN = r"""
_value:
  description: The manifests that differ, with their annotation.
  type: list
  elements: dict
"""

ANNOTATION = "pifleet.ci/manifest"
QUANTITY = re.compile(r"([+-]?[0-9.]+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
SUFFIXES = {
    "m": Decimal("0.001"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("", *"kMGTPE"))},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
QUANTITIES = {"requests", "limits"}
"""Tables whose values the API server writes in another way, such as 1 for 1000m."""


def outdated_objects(
    manifests: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the manifests that the objects do not have everything of, each with its annotation."""
    present = {_identity(each): each for each in found}
    wanted = [_annotated(to_plain(manifest)) for manifest in manifests]
    return [each for each in wanted if not _has(present.get(_identity(each)), each)]


def _identity(manifest: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace") or "", metadata["name"]


def _annotated(manifest: Mapping[str, Any]) -> dict[str, Any]:
    metadata = manifest["metadata"]
    checksum = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: checksum}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _has(present: Any, wanted: Any, table: str = "") -> bool:
    """Whether ``present`` has everything of ``wanted``. table: the key of the table that both are in."""
    if isinstance(wanted, Mapping):
        tables = present if isinstance(present, Mapping) else {}
        return all(_has(tables.get(key), value, table if table in QUANTITIES else key) for key, value in wanted.items())
    if isinstance(wanted, list):
        items = present if isinstance(present, list) else []
        return len(items) == len(wanted) and all(map(_has, items, wanted))
    if table in QUANTITIES and present is not None:
        return _quantity(present) == _quantity(wanted)
    return bool(present == wanted) or (present is None and wanted in ("", False))


def _quantity(value: Any) -> Decimal | str:
    """The number that is meant, or the text of what is no quantity."""
    matched = QUANTITY.fullmatch(str(value))
    return Decimal(matched[1]) * SUFFIXES[matched[2] or ""] if matched else str(value)


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"outdated_objects": outdated_objects}
