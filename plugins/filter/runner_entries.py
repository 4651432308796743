# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What config.toml gets for each of gitlab_runner_runners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.utils.vars import merge_hash

DOCUMENTATION = r"""
name: runner_entries
short_description: The entries of config.toml for a list of runners
version_added: 1.0.0
description:
  - Returns for each runner its C(config), merged over the one that all runners have, and its C(name).
  - Dictionaries are merged to their end; of a list the one of the runner counts.
options:
  _input:
    description: O(pifleet.ci.gitlab_runner#role:main:gitlab_runner_runners).
    type: list
    elements: dict
    required: true
  defaults:
    description: O(pifleet.ci.gitlab_runner#role:main:gitlab_runner_defaults), of which the C(config) is taken.
    type: dict
    default: {}
positional: defaults
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Show the entries
  ansible.builtin.debug:
    msg: "{{ [{'name': 'arm64', 'config': {'limit': 2}}] | pifleet.ci.runner_entries(defaults) }}"
  vars:
    defaults: {config: {executor: docker}}
"""

RETURN = r"""
_value:
  description: The O(pifleet.ci.runner_config#module:runners), in the order of the input.
  type: list
  elements: dict
"""


def runner_entries(
    runners: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The entries in the order of the runners. A runner without a name, which is refused elsewhere, has none here."""
    common = (defaults or {}).get("config", {})
    return [{**merge_hash(common, runner.get("config", {})), **_name(runner)} for runner in runners]


def _name(runner: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": runner["name"]} if "name" in runner else {}


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"runner_entries": runner_entries}
