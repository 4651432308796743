# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who plays gitlab_runner_register_secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plays.cores import PLAYBOOKS
from plays.watched_play import WatchedPlay
from registration_cluster import NAME

MODULE = "pifleet.ci.gitlab_runner_register_secret"


class Operator:
    """Has a kubeconfig and an API token, both in files of mode 0600. options: what else each task is given."""

    def __init__(
        self,
        directory: Path,
        namespace: str,
        kubeconfig: Mapping[str, Any],
        context: str,
        api_token: str,
        options: Mapping[str, Any],
    ) -> None:
        self.play = WatchedPlay(PLAYBOOKS[0], directory)
        vault = self.play.directory / "vault"
        vault.mkdir()
        for name, text in (("kubeconfig", json.dumps(kubeconfig)), ("api_token", api_token)):
            (vault / name).touch(mode=0o600)
            (vault / name).write_text(text)
        self._options = {
            **options,
            "kubeconfig": str(vault / "kubeconfig"),
            "context": context,
            "namespace": namespace,
            "secret_name": NAME,
            "api_token": f"{{{{ lookup('ansible.builtin.file', '{vault}/api_token') }}}}",
        }

    def register(self, *arguments: str, **changes: Any) -> dict[str, Any]:
        """What came of one registration, as callbacks are told."""
        tasks = [{MODULE: {**self._options, **changes}, "ignore_errors": True}]
        self.play.run_plays([{"hosts": "all", "tasks": tasks}], "--diff", *arguments, hosts=["k3s"], verbosity="-vvvv")
        return self.play.results(MODULE)["k3s"][0]
