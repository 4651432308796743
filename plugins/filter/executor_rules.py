# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the executor kubernetes has to be allowed in the namespace of its jobs, and nothing else.

By feature, as https://docs.gitlab.com/runner/executors/kubernetes/#configure-runner-api-permissions lists it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: executor_rules
short_description: Rules of a Role of Kubernetes for the executor kubernetes of GitLab Runner
version_added: 1.0.0
description:
  - Returns the rules of a Role that allow what the given runners need in the namespace of their jobs.
  - What only some features need is allowed where one of the runners has that feature in its settings.
options:
  _input:
    description: The settings of the runners, named as in C(config.toml).
    type: list
    elements: dict
    required: true
  terminals:
    description: Whether users may open terminals in running jobs, which C(session_server) of C(config.toml) is for.
    type: bool
    default: false
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Show the rules for one runner
  ansible.builtin.debug:
    msg: "{{ [{'executor': 'kubernetes', 'kubernetes': {'pod_disruption_budget': true}}] | pifleet.ci.executor_rules }}"
"""

RETURN = r"""
_value:
  description: The rules, each for one resource.
  type: list
  elements: dict
"""

Feature = Callable[[Mapping[str, Any]], bool]


def _option(*names: str) -> Feature:
    return lambda runner: any((runner.get("kubernetes") or {}).get(name) not in (None, False, "") for name in names)


def _flag(*names: str) -> Feature:
    return lambda runner: any(_flags(runner).get(name) for name in names)


def _flags(runner: Mapping[str, Any]) -> Mapping[str, Any]:
    return runner.get("feature_flags") or {}


def _always(_runner: Mapping[str, Any]) -> bool:
    return True


def _attaches(runner: Mapping[str, Any]) -> bool:
    """To the containers, instead of executing each script in them."""
    return not _flags(runner).get("FF_USE_LEGACY_KUBERNETES_EXECUTION_STRATEGY")


def _prints_warnings(runner: Mapping[str, Any]) -> bool:
    return (runner.get("kubernetes") or {}).get("print_pod_warning_events") is not False


# API group, resource, verb, and which runners need it. A stream is asked for with POST (create), or, as a WebSocket,
# with GET (get); patch and delete, which GitLab lists as well, are no verbs of these subresources.
NEEDS: list[tuple[str, str, str, Feature]] = [
    ("", "pods", "create", _always),  # each job is a pod
    ("", "pods", "delete", _always),  # which goes when the job has ended
    ("", "pods", "get", _always),  # and is asked what became of it
    ("", "pods", "list", _always),  # by an informer, which asks for less than polling does
    ("", "pods", "watch", _always),  # the same
    ("", "pods/exec", "create", _always),  # logs are read, and terminals opened, by programs in the pod
    ("", "pods/exec", "get", _always),
    ("", "pods/attach", "create", _attaches),  # scripts are sent to the shell of a container
    ("", "pods/attach", "get", _attaches),
    ("", "pods/log", "get", _flag("FF_KUBERNETES_HONOR_ENTRYPOINT", "FF_WAIT_FOR_POD_TO_BE_REACHABLE", "FF_CONCRETE")),
    ("", "pods/log", "list", _flag("FF_KUBERNETES_HONOR_ENTRYPOINT")),
    ("", "secrets", "create", _always),  # a job's credentials of registries, in a Secret of its own
    ("", "secrets", "delete", _always),
    ("", "secrets", "get", _always),  # whether image_pull_secrets exist, before a pod waits for them
    ("", "secrets", "update", _always),  # the pod becomes the Secret's owner
    (
        "",
        "serviceaccounts",
        "get",  # whether it exists, before a pod is refused
        _option("service_account", "service_account_overwrite_allowed", "use_service_account_image_pull_secrets"),
    ),
    ("", "events", "list", _prints_warnings),  # why a pod does not start, in the log of the job
    ("", "events", "watch", _flag("FF_PRINT_POD_EVENTS")),
    ("policy", "poddisruptionbudgets", "create", _option("pod_disruption_budget")),  # no eviction ends a job
    ("policy", "poddisruptionbudgets", "get", _option("pod_disruption_budget")),
]
# A terminal can reach the ports of a job's services.
TERMINAL_NEEDS = [("", "services", "create", _always), ("", "services", "get", _always)]


def executor_rules(runners: Sequence[Mapping[str, Any]], terminals: bool = False) -> list[dict[str, Any]]:
    """The rules of a Role, one for each resource, in the order of NEEDS."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for group, resource, verb, needed in NEEDS + (TERMINAL_NEEDS if terminals else []):
        if any(map(needed, runners)):
            verbs.setdefault((group, resource), []).append(verb)
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": allowed}
        for (group, resource), allowed in verbs.items()
    ]


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"executor_rules": executor_rules}
