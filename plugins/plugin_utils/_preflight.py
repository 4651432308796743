# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that registration and configuration would refuse, found before any of them has run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.cache import cache_problems
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.memory import memory_limits
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.options import CONFIG_OPTIONS
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import SchemaError, validate_settings
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import Connections, connection_warnings
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import (
    REGISTRATION_OPTIONS,
    OptionsError,
    desired_runner,
)

PREFLIGHT_OPTIONS: dict[str, Any] = {
    "registrations": {"type": "list", "elements": "dict", "default": [], "options": REGISTRATION_OPTIONS},
    **{name: CONFIG_OPTIONS[name] for name in ("global", "runners", "unknown_keys")},
    "problems": {"type": "list", "elements": "str", "default": []},
    "memory_controller": {"type": "bool", "default": True},
    "namespace": {"type": "str"},
}


class Preflight(NamedTuple):
    """Sentences about what cannot be done, and about what has no effect."""

    problems: list[str]
    warnings: list[str]


def preflight(options: dict[str, Any], host: str, local_path: Callable[[str], str]) -> Preflight:
    """What is wrong with these PREFLIGHT_OPTIONS for the host of that inventory name.

    local_path: makes a path of the control node absolute, that of a CA certificate.
    """
    problems = [
        *options["problems"],
        *_registration_problems(options["registrations"], _host_of_keys(options["namespace"], host), local_path),
        *_setting_problems(options),
    ]
    warnings = [warning for each in options["registrations"] for warning in connection_warnings(each)]
    limits = [] if options["memory_controller"] else memory_limits(options["runners"])
    if limits:
        warnings.append(
            f"{host}: {' and '.join(limits)} {'have' if len(limits) > 1 else 'has'} no effect, because the kernel "
            "was started without its memory controller: set raspberry_pi_memory_cgroup to true, or take them out."
        )
    return Preflight(list(dict.fromkeys(problems)), list(dict.fromkeys(warnings)))


def _registration_problems(
    registrations: list[dict[str, Any]], host: str, local_path: Callable[[str], str]
) -> Iterator[str]:
    gitlabs = Connections(local_path)
    for registration in registrations:
        try:
            desired_runner(registration, host)
            gitlabs.get(registration)
        except (OptionsError, GitLabError) as error:
            yield str(error)


def _host_of_keys(namespace: str | None, host: str) -> str:
    """What the keys of the runners have as their host."""
    return f"{namespace}.{host}" if namespace else host


def _setting_problems(options: dict[str, Any]) -> list[str]:
    try:
        valid = validate_settings(options["global"], options["runners"], unknown_keys=options["unknown_keys"])
    except SchemaError as error:
        return error.problems
    return cache_problems(valid.runners)
