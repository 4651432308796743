#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gitlab_runner_preflight
short_description: Refuse wrong settings of runners before anything is touched
version_added: 1.0.0
author:
  - The pifleet.ci authors (@pifleet)
description:
  - Checks on the control node what P(pifleet.ci.gitlab_runner_register#module) and P(pifleet.ci.runner_config#module)
    are going to be asked, with their own checks.
  - A play that runs it first fails before it has touched a host or GitLab, and names all problems at once.
  - Nothing is executed on the host, and no request is sent.
options:
  registrations:
    description:
      - What P(pifleet.ci.gitlab_runner_register#module) is going to be asked, its options for each runner.
    type: list
    elements: dict
    default: []
  global:
    description: As O(pifleet.ci.runner_config#module:global).
    type: dict
    default: {}
  runners:
    description: As O(pifleet.ci.runner_config#module:runners).
    type: list
    elements: dict
    default: []
  unknown_keys:
    description: As O(pifleet.ci.runner_config#module:unknown_keys).
    type: str
    choices: [fail, warn, ignore]
    default: fail
  problems:
    description: What the caller has found to be wrong by itself, one sentence each. The task fails with them as well.
    type: list
    elements: str
    default: []
  memory_controller:
    description:
      - Whether the kernel of the host has a memory controller, which
        RV(pifleet.ci.host_info#module:cgroup_controllers) tells.
      - Where it has none, there is a warning if one of O(runners) has a memory limit, because Docker Engine ignores it.
    type: bool
    default: true
  namespace:
    description:
      - The namespace of the Secret, where O(registrations) is for M(pifleet.ci.gitlab_runner_register_secret).
    type: str
requirements:
  - requests 2.32 or newer with urllib3 2 (on the control node)
  - tomlkit 0.13 or newer (on the control node)
seealso:
  - module: pifleet.ci.gitlab_runner_register
  - module: pifleet.ci.runner_config
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Refuse wrong settings
  pifleet.ci.gitlab_runner_preflight:
    registrations:
      - name: docker
        url: https://gitlab.example.com
        api_token: "{{ vault_gitlab_api_token }}"
        runner_type: project_type
        project_id: 42
        tag_list: [rpi]
    global:
      concurrent: 2
    runners:
      - name: docker
        executor: docker
        docker:
          image: debian:bookworm
"""

RETURN = r"""
#
"""
