# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What GitLab gets for each of gitlab_runner_runners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: runner_registrations
short_description: The options of gitlab_runner_register for a list of runners
version_added: 1.0.0
description:
  - Returns for each runner its C(gitlab), merged over the options that all runners have, its C(name) and its C(token).
  - A runner with a token of its own gets neither RV(ignore:api_token) nor RV(ignore:registration_token).
options:
  _input:
    description: O(pifleet.ci.gitlab_runner#role:main:gitlab_runner_runners).
    type: list
    elements: dict
    required: true
  common:
    description: The options that all runners have.
    type: dict
    required: true
positional: common
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Show how many there are
  ansible.builtin.debug:
    msg: "{{ gitlab_runner_runners | pifleet.ci.runner_registrations({'url': gitlab_runner_url}) | length }}"
"""

RETURN = r"""
_value:
  description: The O(pifleet.ci.gitlab_runner_register#module:runners), in the order of the input.
  type: list
  elements: dict
"""

UNUSED = {"api_token": "", "registration_token": ""}


def runner_registrations(runners: Sequence[Mapping[str, Any]], common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The registrations in the order of the runners."""
    return [
        {**common, **runner.get("gitlab", {}), **_name_and_token(runner), **(UNUSED if runner.get("token") else {})}
        for runner in runners
    ]


def _name_and_token(runner: Mapping[str, Any]) -> dict[str, Any]:
    return {key: runner[key] for key in ("name", "token") if key in runner}


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"runner_registrations": runner_registrations}
