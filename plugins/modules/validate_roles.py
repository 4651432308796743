#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: validate_roles
short_description: Validate a host and the settings of several roles in one task
version_added: 1.0.0
author:
  - The pifleet.ci authors (@pifleet)
description:
  - Fails as the C(preflight) of the roles would, with the problems of all of them at once.
  - Validates the arguments of the roles first, as Ansible does it for a role, then evaluates the checks of each role.
  - Nothing is executed on the host. What the checks say of it was gathered by M(pifleet.ci.host_info).
options:
  roles:
    description:
      - Names of roles of this collection that the play imports, without C(pifleet.ci).
      - With C(gitlab_runner) also what M(pifleet.ci.gitlab_runner_preflight) validates, after the role has compared all
        hosts (its C(tasks_from=compare)).
    type: list
    elements: str
    required: true
requirements:
  - requests 2.32 or newer with urllib3 2 (on the control node, for the role C(gitlab_runner))
  - tomlkit 0.13 or newer (on the control node, for the role C(gitlab_runner))
seealso:
  - module: ansible.builtin.validate_argument_spec
  - module: pifleet.ci.gitlab_runner_preflight
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Gather the state of the host
  ansible.builtin.import_role:
    name: pifleet.ci.docker
    tasks_from: gather

- name: Validate the host and the settings of two roles
  pifleet.ci.validate_roles:
    roles: [docker, swarm]

- name: Install and configure Docker Engine
  ansible.builtin.import_role:
    name: pifleet.ci.docker
    tasks_from: apply

- name: Configure the swarm
  ansible.builtin.import_role:
    name: pifleet.ci.swarm
    tasks_from: apply
"""

RETURN = r"""
#
"""
