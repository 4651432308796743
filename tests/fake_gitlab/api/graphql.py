# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /api/graphql`: 401 and 422 have GraphQL's error shape; a query that fails is a 200 with `errors`."""

from __future__ import annotations

import json
from typing import Any

from fake_gitlab import errors
from fake_gitlab.access import authenticate_graphql
from fake_gitlab.endpoint import Call, Endpoint, Reply
from fake_gitlab.faults import REPLIES
from fake_gitlab.graphql_schema import execute_query
from fake_gitlab.state import FakeGitLab

MAX_QUERY_SIZE = 10_000


def execute(gitlab: FakeGitLab, call: Call) -> Reply:
    if not gitlab.settings.graphql:
        return REPLIES["not_found_page"]
    caller = authenticate_graphql(gitlab, call)
    query = str(call.params.get("query") or "")
    if len(query) > MAX_QUERY_SIZE:
        raise errors.graphql(422, "Query too large")
    operation = call.params.get("operationName")
    return Reply(200, execute_query(gitlab, caller, query, _variables(call.params.get("variables")), operation))


def _variables(value: Any) -> dict[str, Any]:
    """The variables, sent as an object or as its JSON text. Raises APIError (422) for anything else."""
    try:
        values = json.loads(value) if isinstance(value, str) and value else value
    except ValueError as error:
        raise errors.graphql(422, str(error)) from None
    if not isinstance(values or {}, dict):
        raise errors.graphql(422, f"Unexpected parameter: {value}")
    return values or {}


ENDPOINT = Endpoint("POST", "", execute, "user")
