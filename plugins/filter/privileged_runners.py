# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The runners whose jobs could become root on a node of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.executor import privileged_runners

DOCUMENTATION = r"""
name: privileged_runners
short_description: Runners whose jobs could become root on a node of a Kubernetes cluster
version_added: 1.0.0
description:
  - Returns the names of the runners with privileged containers, or with volumes that are directories of the node. The
    Pod Security level C(baseline) has no such pods.
options:
  _input:
    description: The settings of the runners, named as in C(config.toml).
    type: list
    elements: dict
    required: true
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Show the names
  ansible.builtin.debug:
    msg: "{{ [{'name': 'dind', 'kubernetes': {'privileged': true}}] | pifleet.ci.privileged_runners }}"
"""

RETURN = r"""
_value:
  description: The names, in the order of the runners.
  type: list
  elements: str
"""


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"privileged_runners": privileged_runners}
