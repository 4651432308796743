# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake API server of Kubernetes: namespaces and Secrets with resourceVersion, over HTTP.

It answers as the sources say; README.md names them.
"""

from __future__ import annotations

from fake_kubernetes.cluster import Cluster, Refusal
from fake_kubernetes.server import Server, serving

__all__ = ["Cluster", "Refusal", "Server", "serving"]
