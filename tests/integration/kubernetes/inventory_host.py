# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of the scenario's inventory, which stands for a namespace, and its playbook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cluster.made import Cluster
from lab.fleet import Play, run_playbook
from lab.host import ROOT

SCENARIO = ROOT / "molecule" / "kubernetes" / "inventory"


class InventoryHost:
    """One of the group `kubernetes`, with what that has in the scenario, and a namespace of its own.

    folder: for files of the host and of its runs.
    """

    def __init__(self, cluster: Cluster, folder: Path, name: str) -> None:
        self.name, self.namespace = name, f"pifleet-{name}"
        self._record = folder / "executions.jsonl"
        own = folder / "host.yml"
        settings = {"gitlab_runner_kubernetes_namespace": self.namespace}
        own.write_text(json.dumps({"kubernetes": {"hosts": {name: settings}}}))
        self._inventories = [SCENARIO, cluster.inventory, own]

    def play(self, *arguments: str, **variables: Any) -> Play:
        """Run the playbook for this host, which must not fail. variables: over those of the inventory."""
        given = ["--limit", self.name, "--extra-vars", json.dumps(variables)]
        play = run_playbook("pifleet.ci.kubernetes", self._inventories, self._record, *given, *arguments)
        assert play.code == 0, play.output
        return play

    def changed(self, play: Play) -> int:
        return play.recap[self.name]["changed"]
