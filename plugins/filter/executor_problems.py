# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with runners for the executor kubernetes, one sentence each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.executor import Place
from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.executor import executor_problems as problems

DOCUMENTATION = r"""
name: executor_problems
short_description: What is wrong with runners for the executor kubernetes
version_added: 1.0.0
description:
  - Returns a sentence for each setting with which the runners cannot run in one namespace of a cluster, or not without
    being asked for.
options:
  _input:
    description: The settings of the runners, named as in C(config.toml).
    type: list
    elements: dict
    required: true
  host:
    description: The name in the inventory of what stands for the cluster.
    type: str
    required: true
  namespace:
    description: The namespace of GitLab Runner and of its jobs.
    type: str
    required: true
  secret_name:
    description: The name of the Secret with C(config.toml).
    type: str
    required: true
  allow_privileged:
    description: The names of the runners that may have privileged containers.
    type: list
    elements: str
    default: []
author:
  - The pifleet.ci authors (@pifleet)
"""

EXAMPLES = r"""
- name: Refuse runners of another executor
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join(' ') }}"
  vars:
    problems: >-
      {{ [{'name': 'docker', 'executor': 'docker'}]
         | pifleet.ci.executor_problems(host='k3s', namespace='gitlab-runner', secret_name='gitlab-runner') }}
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
"""


def executor_problems(
    runners: Sequence[Mapping[str, Any]],
    host: str,
    namespace: str,
    secret_name: str,
    allow_privileged: Iterable[str] = (),
) -> list[str]:
    """See plugin_utils/_kubernetes/executor.py."""
    return problems(runners, Place(host, namespace, secret_name), allow_privileged)


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"executor_problems": executor_problems}
