#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

# The work is done by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: runner_config_secret
short_description: Merge settings into the config.toml of GitLab Runner in a Secret of Kubernetes
version_added: 1.0.0
description:
  - Does what M(pifleet.ci.runner_config) does, with the same checks and the same diff, but with the C(config.toml) that
    M(pifleet.ci.gitlab_runner_register_secret) keeps in a Secret of a cluster instead of in a file of a host.
  - The Secret is written only if GitLab Runner would read something else from it than before, and only if nobody has
    written it since it was read.
  - Runs on the control node and needs no connection to a host.
options:
  secret_name:
    description: The name of the Secret.
    type: str
    required: true
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
  state:
    description:
      - V(absent) removes C(config.toml) and what belongs to it from the Secret, and the Secret unless others have keys
        in it, if no entry is left in it. What O(global) and O(runners) say has no effect then.
    type: str
    choices: [present, absent]
    default: present
  fleet:
    description:
      - The fleet of the runners, as for M(pifleet.ci.gitlab_runner_register_secret). Only used by O(purge).
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
    description: Seconds to wait for each answer of GitLab and of the API server.
    type: float
    default: 30
requirements:
  - tomlkit 0.13 or newer (on the control node)
extends_documentation_fragment:
  - pifleet.ci.secret
  - pifleet.ci.gitlab
notes:
  - The user of the context needs V(get), V(create), V(patch) and V(delete) for V(secrets) in the namespace, and V(get)
    for the namespace V(kube-system).
  - A pod that has the Secret as a volume sees the change within about a minute, when the kubelet looks next.
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
  - module: pifleet.ci.runner_config
  - module: pifleet.ci.gitlab_runner_register_secret
"""

EXAMPLES = r"""
- name: Let four jobs run at a time, each in a pod of its own
  pifleet.ci.runner_config_secret:
    kubeconfig: ~/.kube/k3s.yaml
    context: k3s
    namespace: gitlab-runner
    secret_name: gitlab-runner
    global:
      concurrent: 4
    runners:
      - name: kubernetes
        executor: kubernetes
        kubernetes:
          namespace: gitlab-runner
          image: debian:bookworm
"""

RETURN = r"""
takes_effect:
  description:
    - When a running GitLab Runner takes up the change.
    - V(unchanged) if there is none, V(automatically), or V(after_restart), where a setting was changed that is read at
      the start only.
  returned: success
  type: str
  sample: automatically
restart_checksum:
  description:
    - A checksum of the settings that GitLab Runner reads at its start only. There are no secrets among them.
    - As an annotation of the pod template it replaces the pods where one of them has changed, and only there, also when
      the play that changed it has died before.
  returned: with O(state=present)
  type: str
  sample: 4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945
checksum:
  description:
    - SHA-256 of C(config.toml) as it is after the task, for pods that read it at their start.
    - It is empty where an entry has no token yet, as in check mode before the first run.
  returned: with O(state=present)
  type: str
  sample: 4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945
deleted_runners:
  description: As RV(pifleet.ci.runner_config#module:deleted_runners).
  returned: when O(purge) found some
  type: list
  elements: int
  sample: [7]
"""
