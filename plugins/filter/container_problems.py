# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the options of GitLab Runner's container, one sentence each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._container_options import container_problems as problems
from ansible_collections.pifleet.ci.plugins.plugin_utils._plain import to_plain

DOCUMENTATION = r"""
name: container_problems
short_description: What is wrong with the options of GitLab Runner's container
version_added: 1.0.0
description:
  - Returns a sentence for each option with which GitLab Runner could not be run as a container or as a service.
  - The modules and Docker Engine refuse them as well, but only when GitLab Runner has stopped.
options:
  _input:
    description: Options of M(community.docker.docker_container), as the role gitlab_runner takes them.
    type: dict
    required: true
  host:
    description: The name of the host in the inventory.
    type: str
    required: true
  deployment:
    description: How GitLab Runner is run. A service of a swarm has fewer options than a container.
    type: str
    choices: [container, package, service]
    required: true
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Refuse options that no container can have
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join(' ') }}"
  vars:
    problems: "{{ {'memory': '1M'} | pifleet.ci.container_problems(host='pi-01', deployment='container') }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
"""


def container_problems(options: Any, host: str, deployment: str) -> list[str]:
    """See plugin_utils/_container_options.py."""
    return problems(to_plain(options), host, deployment)


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"container_problems": container_problems}
