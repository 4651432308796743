# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster the tests use. Never the current context of a kubeconfig: it is what somebody looked at last."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.host import LabError

KUBECONFIG, CONTEXT, RUNNER_IMAGE = "PIFLEET_KUBECONFIG", "PIFLEET_KUBE_CONTEXT", "PIFLEET_KUBE_RUNNER_IMAGE"
NODE_IMAGE = "PIFLEET_KUBE_NODE_IMAGE"
TOOLS = ("kind", "k3d")


@dataclass(frozen=True)
class Named:
    """A cluster that the user has. runner_image: GitLab Runner as that cluster can pull it, empty for no pods of it."""

    kubeconfig: Path
    context: str
    runner_image: str = ""


@dataclass(frozen=True)
class Tool:
    """A cluster that the tool makes: kind or k3d. node_image: of its nodes, empty for the tool's default."""

    name: str
    node_image: str = ""


@dataclass(frozen=True)
class Own:
    """The cluster that is built here."""


Choice = Named | Tool | Own


def choose(environment: Mapping[str, str] = os.environ, which: Callable[[str], str | None] = shutil.which) -> Choice:
    """The cluster that the user names, else one of kind or k3d, else one that is built here. Raises LabError."""
    kubeconfig, context = environment.get(KUBECONFIG, ""), environment.get(CONTEXT, "")
    if kubeconfig and context:
        path = Path(kubeconfig).expanduser().absolute()
        if not path.is_file():
            raise LabError(f"{KUBECONFIG} is {kubeconfig}, which is not a file.")
        return Named(path, context, environment.get(RUNNER_IMAGE, ""))
    if kubeconfig or context:
        given, missing = (KUBECONFIG, CONTEXT) if kubeconfig else (CONTEXT, KUBECONFIG)
        raise LabError(
            f"{given} is set but {missing} is not: the tests create and delete namespaces, so both have to name the "
            "cluster for them. Set both, or none for a cluster that is made for the tests."
        )
    tool = next((name for name in TOOLS if which(name)), None)
    return Tool(tool, environment.get(NODE_IMAGE, "")) if tool else Own()
