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
      - How many former contents to keep beside the file, as C(<path>.backup-<number>) with mode 0600.
    type: int
    default: 3
  recover:
    description:
      - If the file is empty or is not valid TOML, which a power cut can do while GitLab Runner saves it, start from the
        newest kept content that is whole.
    type: bool
    default: false
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

- name: Start from the last whole content after a power cut
  pifleet.ci.runner_config:
    recover: true
"""

RETURN = r"""
needs:
  description:
    - What a running GitLab Runner needs to take up the change.
    - V(none), V(poll) (it notices within seconds by itself) or V(restart) (a setting was changed that is read at the
      start only).
  returned: success
  type: str
  sample: poll
recovered_from:
  description: The kept content that was used instead of the broken file.
  returned: when O(recover) was needed
  type: str
  sample: /etc/gitlab-runner/config.toml.backup-7
"""
