# SPDX-License-Identifier: GPL-3.0-or-later
"""What runners ask of the executor kubernetes, and why GitLab Runner in a namespace of a cluster cannot do it. Pure.

Runners are [[runners]] entries with the keys of config.toml.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Runner = Mapping[str, Any]

YES = (True, "true", "True")
CONNECTION = ("host", "context", "cert_file", "key_file", "ca_file", "bearer_token")
CONTAINERS = ("build", "helper", "service", "init_permissions")


@dataclass(frozen=True)
class Place:
    """Where runners run. host: its name in the inventory. secret_name: of the Secret with their config.toml."""

    host: str
    namespace: str
    secret_name: str


def privileged_runners(runners: Iterable[Runner]) -> list[str]:
    """The names of those whose jobs could become root on a node: by privileged containers, or by its directories."""
    return [runner["name"] for runner in runners if _is_privileged(runner)]


def executor_problems(runners: Sequence[Runner], place: Place, allow_privileged: Iterable[str]) -> list[str]:
    """One sentence for each thing that cannot be. allow_privileged: the names of runners that may be privileged."""
    allowed = set(allow_privileged)
    checks: list[tuple[Callable[[Runner], Any], str]] = [
        (
            lambda runner: runner.get("executor") != "kubernetes",
            "has another executor than kubernetes, and its jobs would run inside the pod of GitLab Runner: take "
            "executor out, or run it on a Pi.",
        ),
        (
            lambda runner: any(_pod(runner).get(name) for name in CONNECTION),
            f"says in its kubernetes section how to reach an API server ({', '.join(CONNECTION)}), but its jobs run in "
            "the cluster that GitLab Runner runs in: take that out.",
        ),
        (
            lambda runner: _leaves_namespace(runner, place.namespace),
            f"has jobs in other namespaces than {place.namespace} (namespace, namespace_per_job, "
            "namespace_overwrite_allowed, or FF_SUSPENDABLE_ENVIRONMENTS), for which GitLab Runner would need rights "
            "in the whole cluster: take that out.",
        ),
        (
            lambda runner: _pod(runner).get("autoscaler"),
            "has an autoscaler in its kubernetes section, for which GitLab Runner would need rights in the whole "
            "cluster: take it out.",
        ),
        (
            lambda runner: _is_privileged(runner) and runner["name"] not in allowed,
            "has privileged containers, or directories of the node (volumes.host_path), in its kubernetes section, by "
            "which jobs can become root on a node: set allow_privileged: true beside its name if they may, or take "
            "that out.",
        ),
        (
            lambda runner: any(
                isinstance(volume, Mapping) and volume.get("name") == place.secret_name
                for volume in _volumes(runner, "secret")
            ),
            f"mounts the Secret {place.secret_name}, which has the tokens of the runners, into the pods of its jobs: "
            "take that out.",
        ),
    ]
    found = [([runner["name"] for runner in runners if is_wrong(runner)], words) for is_wrong, words in checks]
    return [f"{', '.join(names)} of {place.host} {words}" for names, words in found if names]


def _pod(runner: Runner) -> Mapping[str, Any]:
    return _table(runner, "kubernetes")


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table of a table, empty if it is none: that is said by the checks of types."""
    value = table.get(name)
    return value if isinstance(value, Mapping) else {}


def _volumes(runner: Runner, kind: str) -> Sequence[Any]:
    value = _table(_pod(runner), "volumes").get(kind)
    return value if isinstance(value, list) else []


def _is_privileged(runner: Runner) -> bool:
    contexts = [_table(_pod(runner), f"{container}_container_security_context") for container in CONTAINERS]
    return any(each.get("privileged") in YES for each in (_pod(runner), *contexts)) or bool(
        _volumes(runner, "host_path")
    )


def _leaves_namespace(runner: Runner, namespace: str) -> bool:
    pod = _pod(runner)
    return bool(
        pod.get("namespace", namespace) != namespace
        or pod.get("namespace_per_job") in YES
        or pod.get("namespace_overwrite_allowed")
        or _table(runner, "feature_flags").get("FF_SUSPENDABLE_ENVIRONMENTS") in YES
    )
