# SPDX-License-Identifier: GPL-3.0-or-later
"""What one cluster holds, and the rules of its API server for it. Nothing of the web."""

from __future__ import annotations

import base64
import binascii
import copy
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

USER = "operator"
SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]+")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
BAD_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    f"'key-name', regex used for validation is '{SECRET_KEY.pattern}')"
)
BAD_NAME = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{NAME.pattern}')"
)
SECRET_BYTES = 1024 * 1024


class Refusal(Exception):
    """A Status object with which the API server refuses. details: None for one that has none."""

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            **({"reason": reason} if reason else {}),
            **({"details": details} if details is not None else {}),
            "code": code,
        }


def not_found(kind: str, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{kind} "{name}" not found', {"name": name, "kind": kind})


def conflict(name: str, why: str, kind: str = "secrets") -> Refusal:
    message = f'Operation cannot be fulfilled on {kind} "{name}": {why}'
    return Refusal(409, "Conflict", message, {"name": name, "kind": kind})


def forbidden(name: str, why: str, causes: Sequence[Mapping[str, str]] = ()) -> Refusal:
    details = {"name": name, "kind": "secrets", **({"causes": causes} if causes else {})}
    return Refusal(403, "Forbidden", f'secrets "{name}" is forbidden: {why}', details)


def invalid(name: str, field: str, reason: str, why: str) -> Refusal:
    """A field that is not as it has to be. reason: as the cause has it, such as FieldValueTooLong."""
    details = {"name": name, "kind": "Secret", "causes": [{"reason": reason, "message": why, "field": field}]}
    return Refusal(422, "Invalid", f'Secret "{name}" is invalid: {field}: {why}', details)


def undecodable(patched: Mapping[str, Any]) -> Refusal:
    """What a patch has made of an object is no Secret. The API server quotes the object, with all that it holds."""
    quoted = json.dumps(json.dumps(patched, separators=(",", ":")))
    why = f"Invalid value: {quoted}: illegal base64 data at input byte 0"
    causes = [{"reason": "FieldValueInvalid", "message": why, "field": "patch"}]
    return Refusal(422, "Invalid", f' "" is invalid: patch: {why}', {"causes": causes})


@dataclass
class Cluster:
    """One cluster. Objects are as the API shows them.

    forbidden: pairs of verb and resource that the user may not use, such as ("patch", "secrets").
    database_full: etcd takes no more writes.
    """

    token: str = "sa-token-of-the-operator"
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    database_full: bool = False
    quota: int | None = None
    """How many Secrets a namespace may have."""
    revision: int = 1
    namespaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    journal: list[tuple[str, str]] = field(default_factory=list)
    """Verb and resource of every request that was authorised."""

    def __post_init__(self) -> None:
        self.create_namespace("kube-system")

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [request for request in self.journal if request[0] != "get"]

    # What people and controllers do

    def create_namespace(self, name: str) -> None:
        self.namespaces[name] = {
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": self._metadata(name),
            "status": {"phase": "Active"},
        }

    def terminate_namespace(self, name: str) -> None:
        """`kubectl delete namespace`, which has not ended yet."""
        self.namespaces[name]["status"]["phase"] = "Terminating"

    def delete_namespace(self, name: str) -> None:
        del self.namespaces[name]
        for key in [key for key in self.secrets if key[0] == name]:
            del self.secrets[key]

    def put(self, namespace: str, name: str, data: Mapping[str, bytes], **fields: Any) -> dict[str, Any]:
        """Somebody applies a Secret with exactly these values."""
        before = self.secrets.get((namespace, name))
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        metadata = {**before["metadata"], "resourceVersion": self._next()} if before else self._metadata(name)
        metadata["namespace"] = namespace
        secret = {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "type": "Opaque", **fields}
        self.secrets[namespace, name] = secret | {"data": encoded}
        return secret

    def values(self, namespace: str, name: str) -> dict[str, bytes] | None:
        """The decoded values of a Secret, None if there is none."""
        secret = self.secrets.get((namespace, name))
        return secret and {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}

    # The API

    def get_namespace(self, name: str) -> dict[str, Any]:
        self._authorise("get", "namespaces", name)
        if name not in self.namespaces:
            raise not_found("namespaces", name)
        return copy.deepcopy(self.namespaces[name])

    def get(self, namespace: str, name: str) -> dict[str, Any]:
        self._authorise("get", "secrets", name, namespace)
        return copy.deepcopy(self._existing(namespace, name))

    def create(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Admission looks at the namespace first, which reading and changing do not."""
        name = body["metadata"]["name"]
        self._authorise("create", "secrets", "", namespace)
        if namespace not in self.namespaces:
            raise not_found("namespaces", namespace)
        data = dict(body.get("data") or {})
        if not _is_base64(data):
            why = 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
            raise Refusal(400, "BadRequest", why)
        if self.namespaces[namespace]["status"]["phase"] == "Terminating":
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise forbidden(name, why, [cause])
        if "resourceVersion" in body["metadata"]:
            raise Refusal(500, "", "resourceVersion should not be set on objects to be created")
        if self.quota is not None and sum(key[0] == namespace for key in self.secrets) >= self.quota:
            counts = f"used: secrets={self.quota}, limited: secrets={self.quota}"
            raise forbidden(name, f"exceeded quota: objects, requested: secrets=1, {counts}")
        if not NAME.fullmatch(name):
            raise invalid(name, "metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": {BAD_NAME}')
        self._validate(name, data)
        if (namespace, name) in self.secrets:
            raise Refusal(409, "AlreadyExists", f'secrets "{name}" already exists', {"name": name, "kind": "secrets"})
        self._store()
        metadata = {**self._metadata(name), "namespace": namespace}
        created = {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "type": body.get("type", "Opaque")}
        immutable = {"immutable": body["immutable"]} if "immutable" in body else {}
        self.secrets[namespace, name] = created | immutable | ({"data": data} if data else {})
        return copy.deepcopy(self.secrets[namespace, name])

    def patch(self, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A merge patch; a strategic one does the same with what a Secret has. One without a change writes nothing."""
        self._authorise("patch", "secrets", name, namespace)
        secret = self._existing(namespace, name)
        version = (body.get("metadata") or {}).get("resourceVersion")
        if version is not None and version != secret["metadata"]["resourceVersion"]:
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise conflict(name, why)
        data = {**(secret.get("data") or {}), **(body.get("data") or {})}
        data = {key: value for key, value in data.items() if value is not None}
        if not _is_base64(data):
            raise undecodable({**secret, "data": data})
        if data != (secret.get("data") or {}):
            if secret.get("immutable"):
                why = "Forbidden: field is immutable when `immutable` is set"
                raise invalid(name, "data", "FieldValueForbidden", why)
            self._validate(name, data)
            self._store()
            secret["data"] = data
            if not data:
                del secret["data"]
            secret["metadata"]["resourceVersion"] = self._next()
        return copy.deepcopy(secret)

    def delete(self, namespace: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        self._authorise("delete", "secrets", name, namespace)
        secret = self._existing(namespace, name)
        wanted = (options.get("preconditions") or {}).get("resourceVersion")
        version = secret["metadata"]["resourceVersion"]
        if wanted is not None and wanted != version:
            why = f"the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record "
            raise conflict(name, f"{why}({version}). The object might have been modified", "Secret")
        self._store()
        del self.secrets[namespace, name]
        details = {"name": name, "kind": "secrets", "uid": secret["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _authorise(self, verb: str, resource: str, name: str, namespace: str = "") -> None:
        if (verb, resource) in self.forbidden:
            named = {"name": name} if name else {}  # a creation is refused before its body is looked at
            what = f'{resource} "{name}"' if name else resource
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            asked = f'User "{USER}" cannot {verb} resource "{resource}" in API group "" {where}'
            raise Refusal(403, "Forbidden", f"{what} is forbidden: {asked}", {**named, "kind": resource})
        self.journal.append((verb, resource))

    def _existing(self, namespace: str, name: str) -> dict[str, Any]:
        if (namespace, name) not in self.secrets:
            raise not_found("secrets", name)
        return self.secrets[namespace, name]

    def _store(self) -> None:
        if self.database_full:
            raise Refusal(500, "InternalError", "etcdserver: mvcc: database space exceeded")

    def _validate(self, name: str, data: Mapping[str, str]) -> None:
        for key in data:
            if not SECRET_KEY.fullmatch(key):
                raise invalid(name, f"data[{key}]", "FieldValueInvalid", f'Invalid value: "{key}": {BAD_KEY}')
        if sum(len(base64.b64decode(value)) for value in data.values()) > SECRET_BYTES:
            raise invalid(name, "data", "FieldValueTooLong", f"Too long: may not be more than {SECRET_BYTES} bytes")

    def _metadata(self, name: str) -> dict[str, Any]:
        return {"name": name, "uid": str(uuid.uuid4()), "resourceVersion": self._next()}

    def _next(self) -> str:
        self.revision += 1
        return str(self.revision)


def _is_base64(data: Mapping[str, str]) -> bool:
    try:
        for value in data.values():
            base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return False
    return True
