# SPDX-License-Identifier: GPL-3.0-or-later
"""Offset pagination with GitLab's `X-*` and `Link` headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from fake_gitlab import errors, params
from fake_gitlab.endpoint import Call, Reply

Item = TypeVar("Item")

PARAMS = (params.Param("page", params.integer), params.Param("per_page", params.integer))
MAX_PER_PAGE = 100
MAX_COUNT_LIMIT = 10_000
"""With more items GitLab omits `X-Total`, `X-Total-Pages` and the link `last`."""


def paginate(call: Call, items: Sequence[Item], entity: Callable[[Item], Any], *, counted: bool = True) -> Reply:
    """The page of `items` that `page` and `per_page` of the call select, each serialized by `entity`.

    Without `counted` the reply has no totals. Raises APIError (400) for a `per_page` below 1.
    """
    query = params.read_params(call.params, PARAMS)
    per_page = 20 if query.get("per_page") is None else query["per_page"]
    if per_page < 1:
        raise errors.validation_error(["per_page has a value not allowed"])
    per_page = min(per_page, MAX_PER_PAGE)
    page = max(query.get("page") or 1, 1)
    pages = max(-(-len(items) // per_page), 1)

    headers = {
        "X-Page": str(page),
        "X-Per-Page": str(per_page),
        "X-Next-Page": str(page + 1) if page < pages else "",
        "X-Prev-Page": str(page - 1) if 1 < page <= pages + 1 else "",
    }
    links = {"prev": headers["X-Prev-Page"], "next": headers["X-Next-Page"], "first": "1"}
    if counted and len(items) <= MAX_COUNT_LIMIT:
        headers |= {"X-Total": str(len(items)), "X-Total-Pages": str(pages)}
        links["last"] = str(pages)
    headers["Link"] = ", ".join(
        f'<{_page_url(call, number, per_page)}>; rel="{name}"' for name, number in links.items() if number
    )
    start = (page - 1) * per_page
    return Reply(200, [entity(item) for item in items[start : start + per_page]], headers)


def _page_url(call: Call, page: str, per_page: int) -> str:
    kept = {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in call.params.items()
        if name not in ("page", "per_page", "private_token", "id")
    }
    query = urlencode({**kept, "page": page, "per_page": per_page})
    return f"{call.origin}{call.path}?{query}"
