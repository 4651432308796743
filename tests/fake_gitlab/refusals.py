# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of GitLab's error bodies, which differ by who refuses.

The schema says `error`, policies and services say `message` as text, models say `message` as an object,
and the token guard says `error` with an `error_description`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fake_gitlab.exchange import Refusal, Reply


def unauthorized() -> Refusal:
    return Refusal(Reply(401, {"message": "401 Unauthorized"}))


def invalid_token(description: str) -> Refusal:
    return Refusal(Reply(401, {"error": "invalid_token", "error_description": description}))


def insufficient_scope(accepted: Iterable[str]) -> Refusal:
    body = {
        "error": "insufficient_scope",
        "error_description": "The request requires higher privileges than provided by the access token.",
        "scope": " ".join(accepted),
    }
    return Refusal(Reply(403, body))


def forbidden(reason: str = "", headers: Mapping[str, str] | None = None) -> Refusal:
    return Refusal(Reply(403, {"message": f"403 Forbidden - {reason}" if reason else "403 Forbidden"}, headers or {}))


def bad_schema(problems: Iterable[str]) -> Refusal:
    return Refusal(Reply(400, {"error": ", ".join(problems)}))


def bad_request(text: str, reason: str | None = None) -> Refusal:
    body = {"message": f"400 Bad request - {text}"}
    return Refusal(Reply(400, body if reason is None else {**body, "reason": reason}))


def invalid_model(errors: Mapping[str, list[str]]) -> Refusal:
    return Refusal(Reply(400, {"message": dict(errors)}))


def plain(status: int, text: str, headers: Mapping[str, str] | None = None) -> Refusal:
    """The framework's own form, which job endpoints use."""
    return Refusal(Reply(status, {"error": text}, headers or {}))


def bad_scope() -> Refusal:
    return Refusal(Reply(400, {"message": "Scope contains invalid value"}))


def server_error() -> Refusal:
    return Refusal(Reply(500, {"message": "500 Internal Server Error"}))


def not_found(what: str) -> Refusal:
    return Refusal(Reply(404, {"message": f"404 {what} Not Found"}))


def record_not_found() -> Refusal:
    """What the database layer says, with its own small letter."""
    return Refusal(Reply(404, {"message": "404 Not found"}))


def gone(reason: str) -> Refusal:
    return Refusal(Reply(410, {"message": f"410 Gone - {reason}"}))


def precondition_failed() -> Refusal:
    return Refusal(Reply(412, {"message": "412 Precondition Failed"}))


def graphql(status: int, text: str) -> Refusal:
    return Refusal(Reply(status, {"errors": [{"message": text}]}))


def orphaned() -> Refusal:
    return Refusal(Reply(422, {"message": "Runner is orphaned"}))


def migrating() -> Refusal:
    text = "Executing database migrations. Please retry later."
    return Refusal(Reply(429, {"message": text}, {"Retry-After": "60"}))
