#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gitlab_runner_register_secret
short_description: Keep one runner in GitLab and one Secret of Kubernetes in step
version_added: 1.0.0
author:
  - The pifleet.ci authors (@pifleet)
description:
  - Does what M(pifleet.ci.gitlab_runner_register) does, with the same options, results and refusals, but keeps the
    C(config.toml) in a Secret of a cluster instead of in a file of a host.
  - So a namespace that was deleted and made again, or a Secret that comes back from a backup, gets the same runner
    again, with another token.
  - The Secret has the keys C(config.toml) and C(.runner_system_id), as files have these names on a host, and
    C(runner-token) and C(runner-registration-token), which GitLab's chart C(gitlab-runner) expects of the Secret that
    C(runners.secret) names. C(runner-token) is only there while the Secret holds exactly one token.
  - The key of a runner is C(<fleet>/<namespace>.<inventory_hostname>/<name>), where it is
    C(<fleet>/<inventory_hostname>/<name>) on a host. Give each cluster a name in the inventory.
  - The machine is the place of the Secret in its cluster, which the C(uid) of the namespace C(kube-system) tells from
    others. Its system ID is in the Secret, and has to be that of the pods too. See the notes.
  - Runs on the control node and needs no connection to a host. The token goes from GitLab's answer into the Secret.
  - A run that has nothing to do sends one C(GET /runners/:id) and one C(POST /runners/verify) to GitLab for each
    runner, reads the Secret once and writes nothing.
options:
  secret_name:
    description:
      - The name of the Secret. It is created and, with the last entry, deleted. Keys of others in it stay.
      - A Secret with a token that was not put there by this module is refused.
      - Runners of one namespace need different names, even if they are in different Secrets.
    type: str
    required: true
notes:
  - The user of the context needs a Role with V(get), V(create), V(patch) and V(delete) for V(secrets) in the namespace,
    and a ClusterRole with V(get) for the namespace V(kube-system).
  - Pods have to run with the system ID of the Secret, else their runner counts as run by another machine, and is not
    adopted without O(takeover). Mount the key C(.runner_system_id) beside their C(config.toml); in the values of
    GitLab's chart by C(volumes) and C(volumeMounts) with C(subPath).
  - Pods do not notice a token that was reset. They have to be restarted.
  - Where tokens expire, GitLab Runner rotates its token in the pod. The Secret then has the former one, and the next
    run resets it once more.
seealso:
  - module: pifleet.ci.gitlab_runner_register
  - name: Registration, and what it survives
    description: What happens when the namespace is deleted, the token is reset, the play is killed.
    link: https://github.com/pifleet/ci/blob/main/docs/registration.md
extends_documentation_fragment:
  - pifleet.ci.secret
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
- name: Register the runner of a cluster
  pifleet.ci.gitlab_runner_register_secret:
    kubeconfig: ~/.kube/k3s.yaml
    context: k3s
    namespace: gitlab-runner
    secret_name: gitlab-runner
    url: https://gitlab.example.com
    api_token: "{{ vault_gitlab_api_token }}"
    name: kubernetes
    runner_type: group_type
    group_id: 7
    tag_list: [arm64, kubernetes]
  no_log: true

- name: Remove it again, from GitLab and from the cluster
  pifleet.ci.gitlab_runner_register_secret:
    kubeconfig: ~/.kube/k3s.yaml
    context: k3s
    namespace: gitlab-runner
    secret_name: gitlab-runner
    url: https://gitlab.example.com
    api_token: "{{ vault_gitlab_api_token }}"
    name: kubernetes
    runner_type: group_type
    group_id: 7
    state: absent
  no_log: true
"""

RETURN = r"""
actions:
  description: As RV(pifleet.ci.gitlab_runner_register#module:actions).
  returned: success
  type: list
  elements: str
  sample: [adopted, token_reset, entry_written]
runner:
  description: As RV(pifleet.ci.gitlab_runner_register#module:runner); never a token.
  returned: when there is one runner
  type: dict
runners:
  description: What RV(runner) says, of each runner in the order of O(runners); without those that failed.
  returned: always
  type: list
  elements: dict
system_id:
  description: The system ID of the Secret, with which the pods have to run.
  returned: success
  type: str
  sample: s_0f2d81a9c3b4
"""
