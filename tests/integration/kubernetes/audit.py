# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API server was asked, by the audit log of the cluster that is built here. Other clusters show none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cluster.access import ADMIN
from cluster.components import AUDIT_LOG
from cluster.made import Cluster

_READS = ("get", "list", "watch")


class Audit:
    """The requests of a user from now on, or from the cluster's beginning, as (verb, resource)."""

    def __init__(self, cluster: Cluster, *, user: str = ADMIN, from_the_beginning: bool = False) -> None:
        self._log: Path = cluster.folder / "logs" / AUDIT_LOG
        self._user = user
        self._seen = 0 if from_the_beginning else len(self._lines())

    @property
    def is_there(self) -> bool:
        return self._log.is_file()

    def requests(self) -> list[tuple[str, str]]:
        """resource: that of the object, or the path of what is no object, such as /version."""
        entries = [json.loads(line) for line in self._lines()[self._seen :]]
        return [(entry["verb"], _resource(entry)) for entry in entries if entry["user"].get("username") == self._user]

    def writes(self) -> list[tuple[str, str]]:
        return [(verb, resource) for verb, resource in self.requests() if verb not in _READS]

    def _lines(self) -> list[str]:
        return self._log.read_text().splitlines() if self.is_there else []


def _resource(entry: dict[str, Any]) -> str:
    return str(entry["objectRef"]["resource"] if "objectRef" in entry else entry["requestURI"])
