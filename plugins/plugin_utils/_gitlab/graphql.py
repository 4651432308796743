# SPDX-License-Identifier: GPL-3.0-or-later
"""The runners of a place with their maintenance notes, a hundred in one request. Pure: the query, and its answer.

REST lists show no notes, so there each runner takes a request of its own.
https://docs.gitlab.com/api/graphql/reference/#cirunner
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.responses import Misshapen
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import Place, key_of

PER_PAGE = 100

_FIELDS = """
  pageInfo { hasNextPage endCursor }
  nodes { id description maintenanceNote userPermissions { updateRunner } }
"""

# Of a group only its own: its ancestors' and its projects' runners live elsewhere.
_CONNECTIONS = {
    "project_type": "project(fullPath: $path) { runners(type: PROJECT_TYPE, first: %d, after: $after) { %s } }",
    "group_type": "group(fullPath: $path) "
    "{ runners(type: GROUP_TYPE, membership: DIRECT, first: %d, after: $after) { %s } }",
    "instance_type": "runners(type: INSTANCE_TYPE, first: %d, after: $after) { %s }",
}


@dataclass(frozen=True)
class NotedRunner:
    """A runner in a list. `note` is None where the API token's user may not see it."""

    id: int
    description: str
    note: str | None

    @property
    def key(self) -> str | None:
        return None if self.note is None else key_of(self.note)


@dataclass(frozen=True)
class Page:
    """One page of the list. `following` is the cursor of the next one, None on the last. `version` is the server's."""

    runners: tuple[NotedRunner, ...]
    following: str | None
    version: str


def request(place: Place, path: str | None, after: str | None) -> dict[str, Any]:
    """The body that asks for the page after the cursor. `path` is the full path of the project or group."""
    variables = {"path": path, "after": after} if place.owner is not None else {"after": after}
    declared = "$path: ID!, $after: String" if place.owner is not None else "$after: String"
    connection = _CONNECTIONS[place.runner_type] % (PER_PAGE, _FIELDS)
    return {"query": f"query({declared}) {{ metadata {{ version }} {connection} }}", "variables": variables}


def page(place: Place, body: Any) -> Page:
    """The answer. Raises Misshapen for errors, and where anything that was asked for is not shown."""
    if not isinstance(body, dict) or body.get("errors"):
        raise Misshapen
    data = _mapping(body, "data")
    metadata = data.get("metadata")
    owner = data if place.owner is None else _mapping(data, place.runner_type.removesuffix("_type"))
    connection = _mapping(owner, "runners")
    info, nodes = _mapping(connection, "pageInfo"), connection.get("nodes")
    if not isinstance(nodes, list):
        raise Misshapen
    cursor = info.get("endCursor") if info.get("hasNextPage") else None
    if info.get("hasNextPage") and not isinstance(cursor, str):
        raise Misshapen
    version = metadata.get("version") if isinstance(metadata, dict) else None
    return Page(tuple(map(_runner, nodes)), cursor, version if isinstance(version, str) else "")


def _runner(node: Any) -> NotedRunner:
    if not isinstance(node, dict):
        raise Misshapen
    _, _, number = str(node.get("id")).rpartition("/")
    if not number.isdigit():
        raise Misshapen
    note = node.get("maintenanceNote")
    if note is None and _mapping(node, "userPermissions").get("updateRunner") is True:
        note = ""  # it has none: whoever may update a runner sees its note
    return NotedRunner(int(number), str(node.get("description") or ""), note if isinstance(note, str) else None)


def _mapping(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise Misshapen
    return value
