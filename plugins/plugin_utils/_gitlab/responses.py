# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab's JSON as our own types. What has another shape raises UnexpectedResponse: it is no answer of GitLab's."""

from __future__ import annotations

from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import ATTRIBUTES, Credential, Manager, Runner


class UnexpectedResponse(Exception):
    """JSON, but not what GitLab answers here."""


class NoMaintenanceNote(Exception):
    """A runner without the field `maintenance_note`, as servers before GitLab 16.10 show it."""


def error_message(body: Any) -> str:
    """GitLab's own message in an error: `message` may be a string, an object of fields with lists, or missing for
    `error`; GraphQL has a list of `errors`. "" if there are none."""
    if not isinstance(body, dict):
        return ""
    said = body.get("message", body.get("error", ""))
    errors = body.get("errors")
    if not said and isinstance(errors, list):
        return "; ".join(_text(error, "message") for error in errors if isinstance(error, dict))
    if isinstance(said, dict):
        return "; ".join(
            f"{field}: {', '.join(map(str, texts)) if isinstance(texts, list) else texts}"
            for field, texts in said.items()
        )
    return said if isinstance(said, str) else ""


def is_missing_record(body: Any) -> bool:
    """Whether a 404 says that the runner is not there (any more), in the message of any supported version.

    Until about 19.2 it is ActiveRecord's RecordNotFound, for which lib/api/api.rb has a sentence of its own. A missing
    route and a missing project are told in other message.
    """
    return isinstance(body, dict) and body.get("message") in ("404 Runner Not Found", "404 Not found")


def is_missing_route(body: Any) -> bool:
    """Whether a 404 says that this version has no such address: the last route of lib/api/api.rb."""
    return body == {"error": "404 Not Found"}


def is_locked(body: Any) -> bool:
    """Whether a 409 says that another request holds the lock, so that this one was not carried out (lib/api/api.rb)."""
    return isinstance(body, dict) and body.get("message") == "409 Conflict: Resource lock"


def version(body: Any) -> str:
    """The reply of GET /version."""
    return _text(_object(body), "version")


def credential(body: Any, *, runner_id: int | None = None, token: str | None = None) -> Credential:
    """The reply to a creation, a verification or a reset. `runner_id` and `token` where the reply need not say them."""
    fields = _object(body)
    found = fields.get("token", token)
    if not isinstance(found, str) or not found:
        raise UnexpectedResponse
    number = _whole(fields, "id") if runner_id is None else runner_id
    return Credential(number, found, _text(fields, "token_expires_at") or None)


def runner(body: Any) -> Runner:
    """The reply of GET and PUT /runners/:id. Raises NoMaintenanceNote if the server is too old to show notes."""
    fields = _object(body)
    number = _whole(fields, "id")
    if "maintenance_note" not in fields:
        raise NoMaintenanceNote
    kind = _text(fields, "runner_type")
    owners = fields.get("projects" if kind == "project_type" else "groups") or []
    return Runner(
        id=number,
        runner_type=kind,
        owners=frozenset(_whole(_object(owner), "id") for owner in owners) if kind != "instance_type" else frozenset(),
        description=_text(fields, "description"),
        note=None if fields["maintenance_note"] is None else _text(fields, "maintenance_note"),
        attributes={name: fields.get(name) for name in ATTRIBUTES},
        status=_text(fields, "status"),
        version=_text(fields, "version"),
        contacted_at=_text(fields, "contacted_at"),
    )


def manager(body: Any) -> Manager:
    """One item of GET /runners/:id/managers."""
    fields = _object(body)
    return Manager(
        system_id=_text(fields, "system_id"),
        online=_text(fields, "status") == "online",
        ip_address=_text(fields, "ip_address"),
        contacted_at=_text(fields, "contacted_at"),
    )


def full_path(body: Any) -> str:
    """The path by which GraphQL knows a project or group, from the reply of GET /projects/:id or /groups/:id."""
    fields = _object(body)
    path = _text(fields, "path_with_namespace") or _text(fields, "full_path")
    if not path:
        raise UnexpectedResponse
    return path


def whole_id(body: Any) -> int:
    """The id of an item of a list."""
    return _whole(_object(body), "id")


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise UnexpectedResponse
    return body


def _whole(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnexpectedResponse
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
