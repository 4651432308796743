# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kubernetes cluster for tests: one that the user names, one of kind or k3d, or one that is built from source.

`PYTHONPATH=molecule python -m cluster up NAME` makes one and says where its kubeconfig is; README.md has the rest.
"""

from __future__ import annotations
