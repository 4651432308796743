# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab's error replies, whose bodies depend on the layer that raises them.

Grape's validation of parameters has `error` (text); permissions and services have `message` (text); models have
`message` (an object: field -> messages); OAuth token checks have `error` and `error_description`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fake_gitlab.endpoint import APIError, Reply


def unauthorized() -> APIError:
    return APIError(Reply(401, {"message": "401 Unauthorized"}))


def invalid_token(description: str) -> APIError:
    return APIError(Reply(401, {"error": "invalid_token", "error_description": description}))


def insufficient_scope(accepted: Iterable[str]) -> APIError:
    body = {
        "error": "insufficient_scope",
        "error_description": "The request requires higher privileges than provided by the access token.",
        "scope": " ".join(accepted),
    }
    return APIError(Reply(403, body))


def forbidden(reason: str = "", headers: Mapping[str, str] | None = None) -> APIError:
    return APIError(Reply(403, {"message": f"403 Forbidden - {reason}" if reason else "403 Forbidden"}, headers or {}))


def validation_error(messages: Iterable[str]) -> APIError:
    return APIError(Reply(400, {"error": ", ".join(messages)}))


def bad_request(text: str, reason: str | None = None) -> APIError:
    body = {"message": f"400 Bad request - {text}"}
    return APIError(Reply(400, body if reason is None else {**body, "reason": reason}))


def record_invalid(errors: Mapping[str, list[str]]) -> APIError:
    return APIError(Reply(400, {"message": dict(errors)}))


def grape_error(status: int, text: str, headers: Mapping[str, str] | None = None) -> APIError:
    """Grape's own shape, `{"error": text}`, which the job endpoints use."""
    return APIError(Reply(status, {"error": text}, headers or {}))


def invalid_scope() -> APIError:
    return APIError(Reply(400, {"message": "Scope contains invalid value"}))


def internal_server_error() -> APIError:
    return APIError(Reply(500, {"message": "500 Internal Server Error"}))


def not_found(what: str) -> APIError:
    return APIError(Reply(404, {"message": f"404 {what} Not Found"}))


def record_not_found() -> APIError:
    """`ActiveRecord::RecordNotFound`, rescued in lib/api/api.rb; it says `Not found`, not `Not Found`."""
    return APIError(Reply(404, {"message": "404 Not found"}))


def gone(reason: str) -> APIError:
    return APIError(Reply(410, {"message": f"410 Gone - {reason}"}))


def precondition_failed() -> APIError:
    return APIError(Reply(412, {"message": "412 Precondition Failed"}))


def graphql(status: int, text: str) -> APIError:
    return APIError(Reply(status, {"errors": [{"message": text}]}))


def runner_orphaned() -> APIError:
    return APIError(Reply(422, {"message": "Runner is orphaned"}))


def migrations_running() -> APIError:
    text = "Executing database migrations. Please retry later."
    return APIError(Reply(429, {"message": text}, {"Retry-After": "60"}))
