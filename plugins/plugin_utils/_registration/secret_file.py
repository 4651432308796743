# SPDX-License-Identifier: GPL-3.0-or-later
"""A config.toml in a Secret of Kubernetes, as registration reads and writes it.

The Secret has the files that GitLab Runner has beside each other on a host, and what GitLab's chart expects of a Secret
that is there already:

    config.toml                 entries and intents, as on a host
    .runner_system_id           the system ID, by which GitLab tells machines apart
    runner-token                the token of the entry, for the chart; not there unless there is exactly one
    runner-registration-token   empty, for the chart, which requires the key

config.toml is what counts. The other keys are made of it, in the same write.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.pifleet.ci.plugins.module_utils._system_id import FORM
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import ConfigTomlError, parse, says_nothing
from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.cluster import (
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    Refused,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import Entry
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.readings import Readings
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile, HostFileConflict, HostFileError

CONFIG, SYSTEM_ID, TOKEN = "config.toml", ".runner_system_id", "runner-token"
REGISTRATION_TOKEN = "runner-registration-token"  # noqa: S105
KEYS = (CONFIG, SYSTEM_ID, TOKEN, REGISTRATION_TOKEN)

CLUSTER_NAMESPACE = "kube-system"
"""The namespace whose uid stands for the cluster: it is there in each one and cannot be deleted."""


class SecretsApi(Protocol):
    """What is asked of an API server. Each raises Refused, or HostFileError where no clear answer came."""

    def read_secret(self, namespace: str, name: str) -> Any: ...

    def create_secret(self, namespace: str, body: Mapping[str, Any]) -> Any: ...

    def patch_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> Any: ...

    def delete_secret(self, namespace: str, name: str, options: Mapping[str, Any]) -> Any: ...

    def read_namespace(self, name: str) -> Any: ...


@dataclass(frozen=True)
class SecretFile(HostFile):
    """The config.toml of a Secret. keys: those that the Secret has, None if there is none."""

    resource_version: str = ""
    keys: frozenset[str] | None = None


class Secret:
    """The FilePort of a Secret."""

    def __init__(self, cluster: SecretsApi, namespace: str, name: str) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._readings = Readings()
        self._system_id = ""
        self._keys_before: frozenset[str] | None = None
        self._was_read = False

    def __str__(self) -> str:
        return f"Secret {self._namespace}/{self._name}"

    def read(self) -> SecretFile:
        shared = self._readings.take()
        if isinstance(shared, SecretFile):
            return shared
        try:
            seen = self._file(self._ask("get", self._cluster.read_secret, self._namespace, self._name))
        except Refused as refusal:
            if refusal.status.code != NOT_FOUND:  # nor does a namespace that is gone hold a Secret
                raise self._sentence("get", refusal) from None
            seen = self._nothing(self._derived_system_id())
        if not self._was_read:
            self._was_read, self._keys_before = True, seen.keys
        self._readings.note(seen)
        return seen

    def replace(self, seen: HostFile, content: str) -> SecretFile:
        """As a FilePort. A Secret that would say nothing any more is deleted, unless it has keys of others."""
        seen = _secret_file(seen)
        if says_nothing(content):
            return self._without(seen, KEYS, delete=True)
        values = secret_data(content, seen.system_id)
        if seen.keys is None:
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": self._name},
                "type": "Opaque",
                "data": {key: value for key, value in _encoded(values).items() if value is not None},
            }
            found = self._write("create", self._cluster.create_secret, self._namespace, body)
        else:
            found = self._patch(seen, values)
        return self._noted(self._file(found))

    def remove(self, seen: HostFile) -> SecretFile:
        """As a FilePort: what this run has put there goes, the Secret too if it is from this run."""
        ours = [key for key in KEYS if key not in (self._keys_before or ())]
        return self._without(_secret_file(seen), ours, delete=self._keys_before is None)

    def share(self) -> None:
        """Let the next reading be what was read or written last: one request serves several runners."""
        self._readings.share()

    def _without(self, seen: SecretFile, keys: Collection[str], *, delete: bool) -> SecretFile:
        if seen.keys is None:
            return seen
        if delete and seen.keys <= set(keys):
            options = {"preconditions": {"resourceVersion": seen.resource_version}}
            self._write("delete", self._cluster.delete_secret, self._namespace, self._name, options)
            return self._noted(self._nothing(seen.system_id))
        gone = {key: None for key in keys if key in seen.keys}
        return self._noted(self._file(self._patch(seen, gone)))

    def _patch(self, seen: SecretFile, values: Mapping[str, str | None]) -> Any:
        """Change keys of the Secret that was seen; the others stay as they are."""
        body = {"metadata": {"resourceVersion": seen.resource_version}, "data": _encoded(values)}
        return self._write("patch", self._cluster.patch_secret, self._namespace, self._name, body)

    def _write(self, verb: str, operation: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return self._ask(verb, operation, *arguments)
        except Refused as refusal:
            is_gone = refusal.status.code == NOT_FOUND and verb != "create"
            if refusal.status.code == CONFLICT or is_gone:
                raise HostFileConflict(f"{self} has changed since it was read.") from None
            raise self._sentence(verb, refusal) from None

    def _ask(self, verb: str, operation: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return operation(*arguments)
        except Refused as refusal:
            if refusal.status.code == FORBIDDEN and "NamespaceTerminating" in refusal.status.causes:
                raise HostFileError(
                    f"Namespace {self._namespace} is being deleted: wait until it is gone, and create it again."
                ) from None
            raise

    def _sentence(self, verb: str, refusal: Refused) -> HostFileError:
        status = refusal.status
        if status.code == FORBIDDEN and "exceeded quota" not in status.message:
            return HostFileError(
                f"The user of the kubeconfig may not {verb} {self} in {self._cluster} (403): a Role in that namespace "
                "has to allow get, create, patch and delete of secrets. Is the namespace gone, and its RoleBinding?"
            )
        if status.code == NOT_FOUND:
            return HostFileError(f"There is no namespace {self._namespace} in {self._cluster}; create it first.")
        return HostFileError(f'{self}: {self._cluster} refuses to {verb} it ({status.code}, "{status.message}").')

    def _file(self, found: Mapping[str, Any]) -> SecretFile:
        """What an object of the API says. Raises HostFileError for a token that nobody knows the GitLab of."""
        values = self._decoded(found.get("data") or {})
        for key in (TOKEN, REGISTRATION_TOKEN):
            if CONFIG not in values and values.get(key):
                raise HostFileError(
                    f"{self} has a {key} but no {CONFIG}, so it was not made here and nothing says which GitLab the "
                    "token is for: name another secret_name, or delete that key if the token is not needed."
                )
        content = values.get(CONFIG, "")
        held = values.get(SYSTEM_ID, "")
        system_id = held if FORM.fullmatch(held) else self._derived_system_id()
        return SecretFile(
            path=str(self),
            exists=CONFIG in values,
            content=content,
            sha256=None,
            system_id=system_id,
            system_id_seeded=_is_complete(values, content, system_id),
            resource_version=str(found["metadata"]["resourceVersion"]),
            keys=frozenset(values),
        )

    def _nothing(self, system_id: str) -> SecretFile:
        return SecretFile(str(self), exists=False, content="", sha256=None, system_id=system_id, system_id_seeded=False)

    def _decoded(self, data: Mapping[str, str]) -> dict[str, str]:
        values = {key: base64.b64decode(value) for key, value in data.items()}
        try:
            return {key: value.decode() if key in KEYS else "" for key, value in values.items()}
        except UnicodeDecodeError:
            raise HostFileError(f"{self} has a key of ours whose value is not UTF-8; delete the Secret.") from None

    def _derived_system_id(self) -> str:
        """The system ID of this place in this cluster. It is the same after the namespace was deleted."""
        if not self._system_id:
            try:
                uid = self._cluster.read_namespace(CLUSTER_NAMESPACE)["metadata"]["uid"]
            except Refused as refusal:
                if refusal.status.code != FORBIDDEN:
                    raise self._sentence("get", refusal) from None
                raise HostFileError(
                    f"The user of the kubeconfig may not get namespace {CLUSTER_NAMESPACE} in {self._cluster} "
                    "(403), whose uid tells this cluster from others: a ClusterRole has to allow "
                    f"it, or the key {SYSTEM_ID} of {self} has to hold a system ID, s_ and 12 letters or digits."
                ) from None
            self._system_id = derived_system_id(uid, self._namespace, self._name)
        return self._system_id

    def _noted(self, file: SecretFile) -> SecretFile:
        self._readings.note(file)
        return file


def secret_data(content: str, system_id: str) -> dict[str, str | None]:
    """The values of our keys for a config.toml, None for one that is not there. Raises ConfigTomlError."""
    entries = [Entry.of(index, table) for index, table in enumerate(parse(content).get("runners", []))]
    tokens = {entry.token for entry in entries if entry.token}
    return {
        CONFIG: content,
        SYSTEM_ID: system_id,
        TOKEN: tokens.pop() if len(tokens) == 1 else None,
        REGISTRATION_TOKEN: "",
    }


def derived_system_id(cluster: str, namespace: str, name: str) -> str:
    """A system ID in the form of GitLab Runner. cluster: what no other cluster is called."""
    place = f"{cluster}/{namespace}/{name}"
    return "s_" + hmac.new(place.encode(), b"gitlab-runner", hashlib.sha256).hexdigest()[:12]


def _is_complete(values: Mapping[str, str], content: str, system_id: str) -> bool:
    """Whether all keys of ours are as config.toml says. One that does not parse is for others to judge."""
    try:
        return all(values.get(key) == value for key, value in secret_data(content, system_id).items())
    except ConfigTomlError:
        return True


def _encoded(values: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: None if value is None else base64.b64encode(value.encode()).decode() for key, value in values.items()}


def _secret_file(seen: HostFile) -> SecretFile:
    if not isinstance(seen, SecretFile):
        raise TypeError(seen)
    return seen
