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
  name:
    description:
      - The entry's name in C(config.toml), and the last part of the key. Required, for each runner.
    type: str
  api_token:
    description:
      - Needs the scopes V(create_runner) and V(manage_runner), and V(read_api) to find a runner whose token is lost.
        V(api) has them all, and is needed before GitLab 17.1.
      - GitLab must be 16.11 or newer.
      - Exactly one of O(api_token), O(registration_token) and O(token) is given. Only this one can find a runner
        again, correct its
        attributes and remove duplicates.
  registration_token:
    description:
      - For servers that still allow registration with it. A runner whose token is lost cannot be found again this
        way.
    type: str
  token:
    description:
      - An existing runner authentication token, V(glrt-...). It is verified and entered; no runner is ever created
        or deleted.
      - If the runner's process has rotated it, the file's newer token stays.
    type: str
  fleet:
    description:
      - The first part of the key. Two fleets in one GitLab that use the same host names need different ones.
      - Where they have not, a runner whose machines are other ones is not adopted without O(takeover).
    type: str
    default: default
  runner_type:
    description: Where the runner belongs. Required with O(api_token). GitLab cannot change it later.
    type: str
    choices: [instance_type, group_type, project_type]
  group_id:
    description: The group's number, with O(runner_type=group_type).
    type: int
  project_id:
    description: The project's number, with O(runner_type=project_type).
    type: int
  description:
    description: What the web page shows. V(<inventory_hostname> <name>) if not given.
    type: str
  tag_list:
    description: The runner's tags, all of them; their order does not matter.
    type: list
    elements: str
  run_untagged:
    description: Whether it takes jobs without tags.
    type: bool
  locked:
    description: Whether it is locked to its projects.
    type: bool
  paused:
    description: Whether it takes no new jobs.
    type: bool
  access_level:
    description: Whether it takes jobs of protected references only.
    type: str
    choices: [not_protected, ref_protected]
  maximum_timeout:
    description: The longest a job may take, in seconds, at least 600. V(0) removes the limit.
    type: int
  maintenance_note:
    description:
      - The user's part of the maintenance note. The key follows on a line of its own.
    type: str
  takeover:
    description:
      - Take over a runner that another machine runs, or that only other machines have ever run, or an entry that is for
        another GitLab.
      - A board that was replaced needs it once. A new card in the same board does not, for the system ID comes from the
        board.
    type: bool
    default: false
  adopt_existing_entry:
    description:
      - Whether an entry of the name whose token works, but whose runner has no key, is made ours, which keeps its
        runner.
        If V(false), the task fails.
    type: bool
    default: true
  recover:
    description:
      - If the file is empty or is not valid TOML although backups are kept beside it, which a power cut can do
        while GitLab Runner saves it, restore the newest valid backup.
      - If V(false), the task fails then, and nothing is written.
    type: bool
    default: false
  state:
    description:
      - V(absent) deletes the runner in GitLab and the entry in the file. A runner without our key is left alone, and
        of an existing
        token only this machine's share is removed.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description: Seconds to wait for each answer of GitLab.
    type: float
    default: 30
  runners:
    description:
      - Several runners of the host, in place of O(name). Their file is read once for all of them, and a runner that
        fails does not keep the others from being registered.
      - An option of a runner that is not given is that of the task.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
      url:
        description: As O(url).
        type: str
      api_token:
        description: As O(api_token).
        type: str
      registration_token:
        description: As O(registration_token).
        type: str
      token:
        description: As O(token).
        type: str
      ca_path:
        description: As O(ca_path).
        type: str
      validate_certs:
        description: As O(validate_certs).
        type: bool
      timeout:
        description: As O(timeout).
        type: float
      fleet:
        description: As O(fleet).
        type: str
      runner_type:
        description: As O(runner_type).
        type: str
        choices: [instance_type, group_type, project_type]
      group_id:
        description: As O(group_id).
        type: int
      project_id:
        description: As O(project_id).
        type: int
      description:
        description: As O(description).
        type: str
      tag_list:
        description: As O(tag_list).
        type: list
        elements: str
      run_untagged:
        description: As O(run_untagged).
        type: bool
      locked:
        description: As O(locked).
        type: bool
      paused:
        description: As O(paused).
        type: bool
      access_level:
        description: As O(access_level).
        type: str
        choices: [not_protected, ref_protected]
      maximum_timeout:
        description: As O(maximum_timeout).
        type: int
      maintenance_note:
        description: As O(maintenance_note).
        type: str
      takeover:
        description: As O(takeover).
        type: bool
      adopt_existing_entry:
        description: As O(adopt_existing_entry).
        type: bool
      state:
        description: As O(state).
        type: str
        choices: [present, absent]
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
notes:
  - Attributes that are not given are left as they are in GitLab.
  - Without O(api_token) GitLab neither shows nor changes attributes; they are set once at the registration, or not
    at all with O(token).
seealso:
  - module: pifleet.ci.runner_config
  - module: pifleet.ci.gitlab_runner_wait
  - name: Registration, and what it survives
    description: What happens when the card dies, the runner is deleted, the token is reset, the play is killed.
    link: https://github.com/pifleet/ci/blob/main/docs/registration.md
requirements:
  - tomlkit 0.13 or newer (on the control node)
extends_documentation_fragment:
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
