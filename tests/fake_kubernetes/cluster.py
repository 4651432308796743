# SPDX-License-Identifier: GPL-3.0-or-later
"""What one cluster holds, and the rules of its API server for it. Nothing of the web."""

from __future__ import annotations

import base64
import binascii
import copy
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

USER = "operator"
SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]+")
SECRET_BYTES = 1024 * 1024


class Refusal(Exception):
    """A Status object with which the API server refuses."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details,
            "code": code,
        }


def not_found(kind: str, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{kind} "{name}" not found', name=name, kind=kind)


def conflict(name: str, why: str) -> Refusal:
    message = f'Operation cannot be fulfilled on secrets "{name}": {why}'
    return Refusal(409, "Conflict", message, name=name, kind="secrets")


def invalid(name: str, why: str) -> Refusal:
    return Refusal(422, "Invalid", f'Secret "{name}" is invalid: {why}', name=name, kind="Secret")


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
        self._authorise("create", "secrets", name, namespace)
        if namespace not in self.namespaces:
            raise not_found("namespaces", namespace)
        if self.namespaces[namespace]["status"]["phase"] == "Terminating":
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {"reason": "NamespaceTerminating", "message": f"namespace {namespace} is being terminated"}
            raise Refusal(403, "Forbidden", f'secrets "{name}" is forbidden: {why}', name=name, causes=[cause])
        if self.quota is not None and sum(key[0] == namespace for key in self.secrets) >= self.quota:
            why = f"exceeded quota: objects, requested: secrets=1, used: secrets={self.quota}"
            raise Refusal(403, "Forbidden", f'secrets "{name}" is forbidden: {why}', name=name, kind="secrets")
        if (namespace, name) in self.secrets:
            raise Refusal(409, "AlreadyExists", f'secrets "{name}" already exists', name=name, kind="secrets")
        data = dict(body.get("data") or {})
        self._validate(name, data)
        self._store()
        metadata = {**self._metadata(name), "namespace": namespace}
        created = {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "type": body.get("type", "Opaque")}
        self.secrets[namespace, name] = created | {"data": data}
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
        if data != (secret.get("data") or {}):
            if secret.get("immutable"):
                raise invalid(name, "data: Forbidden: field is immutable when `immutable` is set")
            self._validate(name, data)
            self._store()
            secret["data"] = data
            secret["metadata"]["resourceVersion"] = self._next()
        return copy.deepcopy(secret)

    def delete(self, namespace: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        self._authorise("delete", "secrets", name, namespace)
        secret = self._existing(namespace, name)
        wanted = (options.get("preconditions") or {}).get("resourceVersion")
        version = secret["metadata"]["resourceVersion"]
        if wanted is not None and wanted != version:
            why = f"the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record "
            raise conflict(name, f"{why}({version}). The object might have been modified")
        self._store()
        del self.secrets[namespace, name]
        details = {"name": name, "kind": "secrets", "uid": secret["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _authorise(self, verb: str, resource: str, name: str, namespace: str = "") -> None:
        if (verb, resource) in self.forbidden:
            where = f" in the namespace {namespace!r}" if namespace else " at the cluster scope"
            asked = f'{resource} "{name}" is forbidden: User {USER!r} cannot {verb} resource {resource!r} in API group '
            message = f"{asked}''{where}".replace("'", '"')
            raise Refusal(403, "Forbidden", message, name=name, kind=resource)
        self.journal.append((verb, resource))

    def _existing(self, namespace: str, name: str) -> dict[str, Any]:
        if (namespace, name) not in self.secrets:
            raise not_found("secrets", name)
        return self.secrets[namespace, name]

    def _store(self) -> None:
        if self.database_full:
            raise Refusal(500, "InternalError", "etcdserver: mvcc: database space exceeded")

    def _validate(self, name: str, data: Mapping[str, str]) -> None:
        size = 0
        for key, value in data.items():
            if not SECRET_KEY.fullmatch(key):
                raise invalid(name, f'data[{key}]: Invalid value: "{key}": a valid config key must consist of ...')
            try:
                size += len(base64.b64decode(value, validate=True))
            except (binascii.Error, TypeError, ValueError):
                raise Refusal(400, "BadRequest", "illegal base64 data at input byte 0") from None
        if size > SECRET_BYTES:
            raise invalid(name, f"data: Too long: may not be more than {SECRET_BYTES} bytes")

    def _metadata(self, name: str) -> dict[str, Any]:
        return {"name": name, "uid": str(uuid.uuid4()), "resourceVersion": self._next()}

    def _next(self) -> str:
        self.revision += 1
        return str(self.revision)
