# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    # the options by which every action that talks to GitLab is told where it is
    DOCUMENTATION = r"""
options:
  url:
    description:
      - The address of GitLab, such as V(https://gitlab.example.com).
    type: str
  api_token:
    description:
      - A personal, group or project access token. It never leaves the control node.
    type: str
  ca_path:
    description:
      - A file B(on the control node) with the certificate of the authority that signed GitLab's certificate.
      - A relative path starts at the playbook's directory.
      - Without it the environment variable E(REQUESTS_CA_BUNDLE) of the control node may name such a file.
    type: str
  validate_certs:
    description:
      - Whether GitLab's certificate is checked. Turning this off shows the tokens to whoever is in between.
    type: bool
    default: true
requirements:
  - requests 2.32 or newer with urllib3 2 (on the control node)
"""

    # attributes of actions that run on the control node
    ACTION = r"""
attributes:
  action:
    description: The work is done by an action plugin on the control node.
    support: full
  async:
    description: Supports the C(async) keyword.
    support: none
"""
