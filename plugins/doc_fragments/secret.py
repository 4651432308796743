# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    # the options by which every action that keeps config.toml in a Secret is told where that is
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - The kubeconfig on the control node. E(KUBECONFIG) and C(~/.kube/config) are not looked at unless given here.
      - A relative path starts at the playbook's directory.
    type: path
    required: true
  context:
    description: The context of the kubeconfig. Its current context is never used.
    type: str
    required: true
  namespace:
    description: The namespace of the Secret. It is not created.
    type: str
    required: true
requirements:
  - kubernetes 31 or newer (on the control node)
"""
