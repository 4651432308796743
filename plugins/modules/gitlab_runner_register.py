#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gitlab_runner_register
short_description: Keep one runner in GitLab and one entry in a host's config.toml in step
version_added: 1.0.0
author:
  - The pifleet.ci authors (@pifleet)
description:
  - Makes sure that the host's C(config.toml) has exactly one entry of the name with a working runner authentication
    token, and that GitLab
    has exactly one runner for it, with the wanted attributes.
  - That holds whatever happened before. The play was killed, a reply was lost, the SD card was replaced, the runner
    was deleted or its token
    was reset in the web page, two people ran the play at once.
  - The runner is recognised by a key C(<fleet>/<inventory_hostname>/<name>) on the last line of its maintenance
    note, never by its
    description. Runners without that key are never touched.
  - Only GitLab's token, C(id), C(url), C(name) and dates of the entry are written. Its other keys belong to
    M(pifleet.ci.runner_config).
  - A run that has nothing to do sends one C(GET /runners/:id) and one C(POST /runners/verify), and executes one
    module on the host.
options:
  config_path:
    description: GitLab Runner's configuration file on the host.
    type: str
    default: /etc/gitlab-runner/config.toml
  recover:
    description:
      - If the file is empty or is not valid TOML although backups are kept beside it, which a power cut can do
        while GitLab Runner saves it, restore the newest valid backup.
      - If V(false), the task fails then, and nothing is written.
    type: bool
    default: false
  config:
    description:
      - What M(pifleet.ci.runner_config) is to merge into the file afterwards. Nothing of it is written here, but
        RV(config_differs) says whether there is anything to do for that module, which would read the file once more.
    type: dict
    suboptions:
      global:
        description: As O(pifleet.ci.runner_config#module:global).
        type: dict
        default: {}
      runners:
        description: As O(pifleet.ci.runner_config#module:runners).
        type: list
        elements: dict
        default: []
      purge:
        description: As O(pifleet.ci.runner_config#module:purge).
        type: bool
        default: false
      unknown_keys:
        description: As O(pifleet.ci.runner_config#module:unknown_keys).
        type: str
        choices: [fail, warn, ignore]
        default: fail
seealso:
  - module: pifleet.ci.gitlab_runner_register_secret
  - module: pifleet.ci.runner_config
  - module: pifleet.ci.gitlab_runner_wait
  - name: Registration, and what it survives
    description: What happens when the card dies, the runner is deleted, the token is reset, the play is killed.
    link: https://github.com/pifleet/ci/blob/main/docs/registration.md
extends_documentation_fragment:
  - pifleet.ci.registration
  - pifleet.ci.gitlab
  - pifleet.ci.gitlab.action
attributes:
  check_mode:
    description: Says exactly what a run would do, and sends and writes nothing but the heartbeat of C(verify).
    support: full
  diff_mode:
    description: Shows the entry and the runner before and after, without tokens.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Register a runner for one project
  pifleet.ci.gitlab_runner_register:
    url: https://gitlab.example.com
    api_token: "{{ vault_gitlab_api_token }}"
    name: docker
    runner_type: project_type
    project_id: 42
    tag_list: [rpi, arm64]
    run_untagged: false
  no_log: true

- name: Register two runners of one host
  pifleet.ci.gitlab_runner_register:
    url: https://gitlab.example.com
    api_token: "{{ vault_gitlab_api_token }}"
    runner_type: group_type
    group_id: 7
    runners:
      - name: docker
        tag_list: [rpi, docker]
      - name: shell
        tag_list: [rpi, gpio]
  no_log: true

- name: Remove it again, from GitLab and from the host
  pifleet.ci.gitlab_runner_register:
    url: https://gitlab.example.com
    api_token: "{{ vault_gitlab_api_token }}"
    name: docker
    runner_type: project_type
    project_id: 42
    state: absent
  no_log: true
"""

RETURN = r"""
actions:
  description:
    - What was done, or would be done in check mode, in order; empty if nothing.
    - C(created), C(adopted), C(token_reset), C(updated), C(removed_duplicate), C(deleted), C(manager_removed),
      C(entry_written),
      C(entry_removed), and C(settled) when the trace of an interrupted run was cleared.
  returned: success
  type: list
  elements: str
  sample: [adopted, token_reset, entry_written]
runner:
  description: The runner as GitLab shows it; never a token. Empty with O(state=absent).
  returned: when there is one runner
  type: dict
  contains:
    id:
      description: GitLab's number of the runner, V(null) if check mode would create it.
      type: int
    name:
      description: The entry's name.
      type: str
    description:
      description: Its description. The other attributes of GitLab stand beside it under GitLab's names.
      type: str
    status:
      description: GitLab's status of it before this run's heartbeat.
      type: str
    contacted_at:
      description: When it was in contact before this run's heartbeat.
      type: str
    version:
      description: GitLab Runner's version, V(null) while its process was never in contact.
      type: str
    token_expires_at:
      description: When the token ends, V(null) if never. The runner's process renews it in time.
      type: str
    verified_at:
      description: The server's time when the token was last known to work.
      type: str
runners:
  description: What RV(runner) says, of each runner in the order of O(runners); without those that failed.
  returned: always
  type: list
  elements: dict
config_differs:
  description:
    - Whether M(pifleet.ci.runner_config) would change the file, or fail or warn, with the options in O(config).
    - A change that somebody makes after the reading is not known to it.
  returned: with O(config)
  type: bool
recovered_from:
  description: The backup that was restored in place of the corrupt file.
  returned: when O(recover) was needed
  type: str
  sample: /etc/gitlab-runner/config.toml.backup-7
system_id:
  description: The host's system ID, by which GitLab tells machines apart.
  returned: success
  type: str
  sample: s_0f2d81a9c3b4
"""
