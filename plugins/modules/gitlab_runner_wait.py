#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gitlab_runner_wait
short_description: Wait until a host's runners are online in GitLab
version_added: 1.0.0
author:
  - The pifleet.ci authors (@pifleet)
description:
  - Waits until the host's own GitLab Runner process was in contact with GitLab for each of the given runners.
  - Returns at once, without a request, when nothing was changed and all of them were in contact within the ten
    minutes before.
  - Nothing is executed on the host. In check mode nothing is waited for.
options:
  api_token:
    description:
      - Needs the scope V(manage_runner), V(read_api) or V(api).
      - GitLab is not asked about a runner without one, such as one with a token of its own.
  connections:
    description:
      - How GitLab is asked about each of O(runners), in their order, where that differs from what the task says.
      - An empty C(api_token) means that this runner is not asked about.
    type: list
    elements: dict
    suboptions:
      url:
        description: As O(url).
        type: str
      api_token:
        description: As O(api_token).
        type: str
      ca_path:
        description: As O(ca_path).
        type: str
      validate_certs:
        description: As O(validate_certs).
        type: bool
      timeout:
        description: Seconds to wait for each answer of GitLab, 30 if not given.
        type: float
  runners:
    description: The RV(pifleet.ci.gitlab_runner_register#module:runner) of each registration.
    type: list
    elements: dict
    required: true
  system_id:
    description: The RV(pifleet.ci.gitlab_runner_register#module:system_id) of the host.
    type: str
    required: true
  changed:
    description: Whether this play has changed anything about the runners, their configuration or their process.
    type: bool
    default: true
  timeout:
    description: Seconds to wait at most.
    type: float
    default: 180
seealso:
  - module: pifleet.ci.gitlab_runner_register
extends_documentation_fragment:
  - pifleet.ci.gitlab
  - pifleet.ci.gitlab.action
attributes:
  check_mode:
    description: Returns what is known, without waiting.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Wait until the runner is online in GitLab
  pifleet.ci.gitlab_runner_wait:
    url: https://gitlab.example.com
    api_token: "{{ vault_gitlab_api_token }}"
    runners: ["{{ registration.runner }}"]
    system_id: "{{ registration.system_id }}"
    changed: "{{ registration is changed }}"
"""

RETURN = r"""
runners:
  description: The runners that GitLab was asked about, and their last contact from this host.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: GitLab's number of the runner.
      type: int
    name:
      description: The entry's name.
      type: str
    status:
      description: V(online) or V(offline).
      type: str
    contacted_at:
      description: When it was in contact last.
      type: str
"""
