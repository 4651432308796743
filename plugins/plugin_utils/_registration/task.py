# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that registers one runner or several, wherever their config.toml is kept."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import ConfigTomlError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import Connections, connection_warnings
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import (
    ConcurrentChanges,
    FilePort,
    Outcome,
    register,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import DesiredRunner
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import (
    desired_runner,
    options_of_runners,
    without_effect,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import UnsafeChange
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.result import left_behind, result
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFileError


class SharedFile(FilePort, Protocol):
    """A FilePort for several runners."""

    def share(self) -> None:
        """Let the next reading be what was read or written last."""


@dataclass(frozen=True)
class Wanted:
    """A runner, and the options that it is made of."""

    runner: DesiredRunner
    options: Mapping[str, Any]


@dataclass
class Registered:
    """What became of the runners: results of those that were registered, a sentence for each that failed."""

    results: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def wanted_runners(options: Mapping[str, Any], host: str) -> list[Wanted]:
    """The runners of a task, all of them validated. Raises OptionsError."""
    return [Wanted(desired_runner(own, host), own) for own in options_of_runners(options, host)]


def register_all(
    wanted: Sequence[Wanted], file: SharedFile, connections: Connections, *, check_mode: bool
) -> Registered:
    """Register one after the other. One that fails does not keep the others from being registered."""
    registered = Registered()
    for each in wanted:
        try:
            gitlab = connections.get(each.options)
            outcome = register(each.runner, file, gitlab, run=secrets.token_hex(4), check_mode=check_mode)
            file.share()
        except (GitLabError, UnsafeChange, HostFileError, ConcurrentChanges, ConfigTomlError) as error:
            registered.failures.append(f"{each.runner}: {error}")
            continue
        registered.results.append(result(each.runner, outcome))
        registered.warnings += connection_warnings(each.options)
        registered.warnings += [f"{each.runner}: {text}" for text in _warnings(each, outcome)]
    return registered


def _warnings(wanted: Wanted, outcome: Outcome) -> list[str]:
    ignored = without_effect(wanted.options)
    return [
        *left_behind(wanted.runner, outcome.observed),
        *([f"{', '.join(ignored)} can only be kept in GitLab with api_token."] if ignored else []),
    ]
