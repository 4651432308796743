# SPDX-License-Identifier: GPL-3.0-or-later
"""The runners of a scope with their maintenance notes, a hundred in one request. Pure: the query, and its answer.

REST lists show no notes, so there each runner takes a request of its own.
https://docs.gitlab.com/api/graphql/reference/#cirunner
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import ListedRunner, RunnerScope
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.responses import UnexpectedResponse

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
class Page:
    """One page of the list. `following` is the cursor of the next one, None on the last. `version` is the server's."""

    runners: tuple[ListedRunner, ...]
    following: str | None
    version: str


def request(scope: RunnerScope, path: str | None, after: str | None) -> dict[str, Any]:
    """The body that asks for the page after the cursor. `path` is the full path of the project or group."""
    variables = {"path": path, "after": after} if scope.owner is not None else {"after": after}
    declared = "$path: ID!, $after: String" if scope.owner is not None else "$after: String"
    connection = _CONNECTIONS[scope.runner_type] % (PER_PAGE, _FIELDS)
    return {"query": f"query({declared}) {{ metadata {{ version }} {connection} }}", "variables": variables}


def page(scope: RunnerScope, body: Any) -> Page:
    """The answer. Raises UnexpectedResponse for errors, and where anything that was asked for is not shown."""
    if not isinstance(body, dict) or body.get("errors"):
        raise UnexpectedResponse
    data = _mapping(body, "data")
    metadata = data.get("metadata")
    owner = data if scope.owner is None else _mapping(data, scope.runner_type.removesuffix("_type"))
    connection = _mapping(owner, "runners")
    info, nodes = _mapping(connection, "pageInfo"), connection.get("nodes")
    if not isinstance(nodes, list):
        raise UnexpectedResponse
    cursor = info.get("endCursor") if info.get("hasNextPage") else None
    if info.get("hasNextPage") and not isinstance(cursor, str):
        raise UnexpectedResponse
    version = metadata.get("version") if isinstance(metadata, dict) else None
    return Page(tuple(map(_runner, nodes)), cursor, version if isinstance(version, str) else "")


def _runner(node: Any) -> ListedRunner:
    if not isinstance(node, dict):
        raise UnexpectedResponse
    number = str(node.get("id")).rpartition("/")[2]
    if not number.isdigit():
        raise UnexpectedResponse
    note = node.get("maintenanceNote")
    if note is None and _mapping(node, "userPermissions").get("updateRunner") is True:
        note = ""  # it has none: whoever may update a runner sees its note
    return ListedRunner(int(number), str(node.get("description") or ""), note if isinstance(note, str) else None)


def _mapping(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise UnexpectedResponse
    return value
