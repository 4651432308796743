# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab's JSON as our own types. Whatever has not the expected shape raises Misshapen: it is no answer of GitLab's."""

from __future__ import annotations

from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._registration_model import (
    ATTRIBUTES,
    Credential,
    Manager,
    Runner,
)


class Misshapen(Exception):
    """JSON, but not what GitLab answers here."""


def words_of(body: Any) -> str:
    """GitLab's own words in an error: `message` may be a string, an object of fields with lists, or missing for
    `error`. "" if there are none."""
    if not isinstance(body, dict):
        return ""
    said = body.get("message", body.get("error", ""))
    if isinstance(said, dict):
        return "; ".join(
            f"{field}: {', '.join(map(str, texts)) if isinstance(texts, list) else texts}"
            for field, texts in said.items()
        )
    return said if isinstance(said, str) else ""


def credential(body: Any, *, runner_id: int | None = None, token: str | None = None) -> Credential:
    """The reply to a creation, a verification or a reset. `runner_id` and `token` where the reply need not say them."""
    fields = _object(body)
    found = fields.get("token", token)
    if not isinstance(found, str) or not found:
        raise Misshapen
    number = _whole(fields, "id") if runner_id is None else runner_id
    return Credential(number, found, _text(fields, "token_expires_at") or None)


def runner(body: Any) -> Runner:
    """The reply of GET and PUT /runners/:id."""
    fields = _object(body)
    kind = _text(fields, "runner_type")
    owners = fields.get("projects" if kind == "project_type" else "groups") or []
    return Runner(
        id=_whole(fields, "id"),
        runner_type=kind,
        owners=frozenset(_whole(_object(owner), "id") for owner in owners) if kind != "instance_type" else frozenset(),
        description=_text(fields, "description"),
        note=_text(fields, "maintenance_note"),
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


def whole_id(body: Any) -> int:
    """The id of an item of a list."""
    return _whole(_object(body), "id")


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Misshapen
    return body


def _whole(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Misshapen
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
