# SPDX-License-Identifier: GPL-3.0-or-later
"""Fault injection: cut, delay or replace the reply to chosen requests, as GitLab or a proxy in front of it would."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from fake_gitlab.endpoint import Call, Reply


def _page(title: str, text: str) -> str:
    return (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>\n"
    )


REPLIES: dict[str, Reply] = {
    "unauthorized": Reply(401, {"message": "401 Unauthorized"}),
    "forbidden": Reply(403, {"message": "403 Forbidden"}),
    "proxy_forbidden": Reply(403, _page("Access denied", "The proxy's policy does not allow this address.")),
    "not_found_page": Reply(404, _page("404", "The page could not be found.")),
    "resource_lock": Reply(409, {"message": "409 Conflict: Resource lock"}),
    "gone": Reply(410, {"message": "410 Gone - runner registration disallowed"}),
    "unprocessable": Reply(422, {"message": "Runner is orphaned"}),
    "too_many_requests": Reply(
        429,
        {"message": {"error": "This endpoint has been requested too many times. Try again later."}},
        {"Retry-After": "1"},
    ),
    "server_error": Reply(500, {"message": "500 Internal Server Error"}),
    "bad_gateway": Reply(502, _page("502", "GitLab is not responding.")),
    "unavailable": Reply(503, _page("503", "GitLab is being deployed."), {"Retry-After": "1"}),
    "captive_portal": Reply(200, _page("Welcome", "Accept the terms of use to go online.")),
    "empty": Reply(200, ""),
    "graphql_complexity": Reply(
        200, {"errors": [{"message": "Query has complexity of 321, which exceeds max complexity of 250"}]}
    ),
    "truncated_json": Reply(200, '{"id": 1, "tok', {"Content-Type": "application/json"}),
}
"""Named replies for `Fault.reply`."""


@dataclass
class Fault:
    """A fault for the requests that match `method` and `path`, which are shell patterns (fnmatch).

    `path` is matched against the path below `/api/v4`. The fault applies from the `nth` matching request after it was
    added, to `times` requests (None: all). With `after` the request is carried out first and then its reply is lost
    (`cut`), replaced (`reply`) or delayed (`delay`, seconds). Without `after`, a request that is cut or replaced is
    never carried out, and one that is only delayed is carried out late.
    """

    method: str = "*"
    path: str = "*"
    reply: Reply | str | None = None
    cut: bool = False
    delay: float = 0.0
    after: bool = False
    nth: int = 1
    times: int | None = 1
    seen: int = field(default=0, init=False)
    """The number of requests that have matched so far."""

    def __post_init__(self) -> None:
        if isinstance(self.reply, str):
            self.reply = REPLIES[self.reply]

    def matches(self, method: str, path: str) -> bool:
        """Count the request in `seen` if the patterns match; True when the fault applies to it."""
        if not (fnmatchcase(method, self.method) and fnmatchcase(path, self.path)):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)


class Faults:
    """The active faults. The first that matches a request applies, but each one counts it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def __len__(self) -> int:
        return len(self._faults)

    def clear(self) -> None:
        self._faults.clear()

    def match(self, call: Call, path: str) -> Fault | None:
        """The fault that applies to this request, if any; `path` is the one below `/api/v4`."""
        if not self._faults:
            return None
        matching = [fault for fault in self._faults if fault.matches(call.method, path)]
        return matching[0] if matching else None
