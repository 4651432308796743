#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

# The work is done by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: runner_config
short_description: Merge settings into the config.toml of GitLab Runner
version_added: 1.0.0
description:
  - Owns only the keys it is given. Every other key, comment and blank line of C(config.toml) stays as it is, whether it
    was written by hand, by C(gitlab-runner register) or by another role.
  - Every key is checked on the control node, before a host is touched, against the keys that GitLab Runner knows. One
    value of the wrong type would make it reject the whole file, and it ignores a misspelled key silently.
  - The file is written only if GitLab Runner would read something else from it than before. That GitLab Runner rewrites
    the file itself (a rotated token, zeros written out, another form of a duration) is no change.
  - The connection settings of an entry (C(url), C(id), C(token), C(token_obtained_at), C(token_expires_at)) belong to
    M(pifleet.ci.gitlab_runner_register) and are never touched.
options:
  path:
    description:
      - Absolute path of C(config.toml) on the host.
    type: str
    default: /etc/gitlab-runner/config.toml
  global:
    description:
      - Settings outside of the entries, with the names and the nesting of C(config.toml), for instance C(concurrent).
      - Dictionaries are merged key by key, lists replace the present list, V(null) removes the key.
    type: dict
    default: {}
  runners:
    description:
      - Settings for C([[runners]]) entries, with the names and the nesting of C(config.toml).
      - Each needs a C(name), which finds the entry. If there is none of that name, a C(id) given beside it finds the
        entry, which then gets the name.
      - An entry must have been registered before. In check mode, an entry that is missing is taken for one that the
        registration would have made just before, and is predicted as a change.
    type: list
    elements: dict
    default: []
  purge:
    description:
      - Remove the entries that are not in O(runners).
      - With O(api_token), a runner that this collection registered for this host goes in GitLab too, before its entry
        does. One that stays there, for instance because another machine runs it, is warned of. Without O(api_token) all
        stay.
    type: bool
    default: false
  unknown_keys:
    description:
      - What to do with keys, feature flags and values of enumerations that the schema of this collection does not know,
        for instance because GitLab Runner is newer.
      - V(warn) and V(ignore) write them as they are.
    type: str
    choices: [fail, warn, ignore]
    default: fail
  backup:
    description:
      - How many backups to keep beside the file, as C(<path>.backup-<number>) with mode 0600.
    type: int
    default: 3
  recover:
    description:
      - If the file is empty or is not valid TOML, which a power cut can do while GitLab Runner saves it, start from the
        newest kept content that is whole.
    type: bool
    default: false
  fleet:
    description:
      - The fleet of the host's runners, as for M(pifleet.ci.gitlab_runner_register). Only used by O(purge).
    type: str
    default: default
  url:
    description:
      - The address of the GitLab that O(api_token) is for.
      - Only used by O(purge), as are the other options about GitLab.
  api_token:
    description:
      - Needs the scope C(manage_runner) or C(api).
  timeout:
    description: Seconds to wait for each answer of GitLab.
    type: float
    default: 30
requirements:
  - tomlkit 0.13 or newer (on the control node)
extends_documentation_fragment:
  - pifleet.ci.gitlab
notes:
  - A restart that is needed is not forgotten when the play dies before it. C(.restart-pending) in the directory of
    O(path) is made before the file is changed, and as long as it is there RV(takes_effect) is V(after_restart). Who
    has restarted GitLab Runner removes it, as the example shows and as the role C(pifleet.ci.gitlab_runner) does.
  - A file that its group may read, for a GitLab Runner that is not root, stays so, and keeps its owner and its group.
    All other permissions of group and others go.
attributes:
  check_mode:
    support: full
    description: Nothing is written.
  diff_mode:
    support: full
    description: Secrets are masked; one that changes is marked as changed.
author:
  - The pifleet.ci authors (@pifleet)
seealso:
  - name: Advanced configuration of GitLab Runner
    description: All keys of config.toml.
    link: https://docs.gitlab.com/runner/configuration/advanced-configuration/
"""

EXAMPLES = r"""
- name: Let two jobs run at a time, each in a container of its own
  pifleet.ci.runner_config:
    global:
      concurrent: 2
      check_interval: 5
    runners:
      - name: docker
        executor: docker
        limit: 2
        docker:
          image: debian:bookworm
          pull_policy: [if-not-present]

- name: Serve metrics, which GitLab Runner sets up at its start only
  pifleet.ci.runner_config:
    global:
      listen_address: ":9252"
  register: config

- name: Restart GitLab Runner
  when: config.takes_effect == 'after_restart' and not ansible_check_mode
  block:
    - name: Restart it when its jobs have ended
      ansible.builtin.systemd_service:
        name: gitlab-runner
        state: restarted

    - name: Say that it is done
      ansible.builtin.file:
        path: /etc/gitlab-runner/.restart-pending
        state: absent

- name: Restore the newest valid backup after a power cut
  pifleet.ci.runner_config:
    recover: true
"""

RETURN = r"""
takes_effect:
  description:
    - When a running GitLab Runner takes up the change.
    - V(unchanged) if there is none, V(automatically) within seconds, or V(after_restart), where a setting was changed
      that is read at the start only, now or by an earlier run that nobody has restarted it after.
  returned: success
  type: str
  sample: automatically
deleted_runners:
  description: The IDs of the runners that were deleted in GitLab, or in check mode would be.
  returned: when O(purge) found some
  type: list
  elements: int
  sample: [7]
recovered_from:
  description: The backup that was restored in place of the corrupt file.
  returned: when O(recover) was needed
  type: str
  sample: /etc/gitlab-runner/config.toml.backup-7
"""
