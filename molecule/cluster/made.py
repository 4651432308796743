# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster for tests with a fake GitLab beside it, which pods reach over HTTPS."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from images.assembled import Image, docker_archive
from lab.fleet import GitLab
from lab.host import LabError, own_address
from lab.services import PROJECT_ID, api_token, ensure_gitlab, stop_gitlab

from . import own, program, tools
from .choice import TOOLS, Choice, Named, Own, Tool, choose
from .components import CONTEXT
from .images import references
from .place import STATE, Place, say

_RECORD, _KIND = "cluster.json", "kind"
"""The latter is there before anything is started, so that `down` knows what to look for."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up.

    kind: named, kind, k3d or own. host_address: this machine's, for pods. images: by what they are, such as runner.
    """

    name: str
    kind: str
    folder: Path
    kubeconfig: Path
    context: str
    host_address: str
    gitlab_url: str
    images: dict[str, str]

    @property
    def ca_file(self) -> Path:
        """The authority that signed the fake GitLab's certificate."""
        return self.folder / "tls" / "ca.crt"

    @property
    def gitlab(self) -> GitLab:
        return GitLab(self.gitlab_url, self.ca_file)

    @property
    def api_token(self) -> str:
        """Of the operator at the fake GitLab."""
        return api_token(self.folder)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory"

    def variables(self) -> dict[str, Any]:
        """What an inventory says of it; `cluster_` is for what has no variable of a role."""
        return {
            "gitlab_runner_url": self.gitlab_url,
            "gitlab_runner_ca_file": str(self.ca_file),
            "gitlab_runner_api_token": self.api_token,
            "lab_project_id": PROJECT_ID,
            "cluster_kubeconfig": str(self.kubeconfig),
            "cluster_context": self.context,
            "cluster_host_address": self.host_address,
            **{f"cluster_{name}_image": reference for name, reference in self.images.items()},
        }

    def summary(self) -> str:
        return "\n".join(
            [
                f"kubeconfig: {self.kubeconfig}",
                f"context: {self.context}",
                f"GitLab: {self.gitlab_url}",
                f"inventory: {self.inventory}",
                *(f"image: {reference}" for reference in self.images.values()),
            ]
        )


def load(name: str) -> Cluster:
    """The cluster of that name. Raises LabError if it is not up."""
    record = Place(name).folder / _RECORD
    if not record.is_file():
        raise LabError(f"Cluster {name} is not up: run `python -m cluster up {name}`.")
    found = json.loads(record.read_text())
    return Cluster(**{**found, "folder": Path(found["folder"]), "kubeconfig": Path(found["kubeconfig"])})


def up(place: Place) -> Cluster:
    """Make the cluster, or go on with a running one of the same kind. Raises LabError."""
    choice = choose()
    kind = _kind(choice)
    record = place.folder / _RECORD
    if record.is_file() and _kind_of(place) == kind and _is_running(choice, place):
        say(f"cluster {place.name} ({kind}) is up already")
        cluster = load(place.name)
    else:
        down(place)
        place.folder.mkdir(parents=True, mode=0o700)
        (place.folder / _KIND).write_text(kind)
        cluster = _start(choice, place)
    ensure_gitlab(place.folder, cluster.host_address)
    _write(record, json.dumps(asdict(cluster), indent=1, default=str))
    _write_inventory(cluster)
    return cluster


def add_image(cluster: Cluster, reference: str, content: Image) -> None:
    """Give the nodes an image besides those that they start with. Raises LabError if they are somebody else's."""
    place = Place(cluster.name, cluster.folder.parent)
    with tempfile.TemporaryDirectory(prefix="pifleet-image-") as folder:
        archive = Path(folder) / "image.tar"
        archive.write_bytes(docker_archive(content, reference))
        if cluster.kind in TOOLS:
            tools.load(cluster.kind, place, archive)
        elif cluster.kind == _kind(Own()):
            own.load(place, archive)
        else:
            raise LabError(f"Cluster {cluster.name} is one that you named, into which no images are put.")


def down(place: Place) -> None:
    """Remove what was made for the cluster. One that the user named stays as it is."""
    stop_gitlab(place.folder)
    kind = _kind_of(place)
    if kind in TOOLS:
        tools.stop(kind, place)
    if kind == _kind(Own()) or own.is_left(place):
        own.stop(place)
    shutil.rmtree(place.folder, ignore_errors=True)


def require_at_hand() -> None:
    """Raise LabError with one sentence unless a cluster can be had in seconds."""
    if not isinstance(choose(), Own):
        return
    try:
        own.require_means()
        if not program.cached():
            raise LabError("Kubernetes is not built yet.")
    except LabError as error:
        raise LabError(
            f"NOT TESTED IN A REAL CLUSTER: none is named, there is neither kind nor k3d, and {error} "
            "`make kubernetes` builds one."
        ) from error


def remove_all(state: Path = STATE) -> None:
    """Remove every cluster below the directory."""
    for folder in sorted(path for path in state.glob("*") if path.is_dir()):
        down(Place(folder.name, state))
    shutil.rmtree(state, ignore_errors=True)


def _start(choice: Choice, place: Place) -> Cluster:
    match choice:
        case Named():
            images = {"runner": choice.runner_image} if choice.runner_image else {}
            return _cluster(place, choice, choice.kubeconfig, choice.context, own_address(), images)
        case Tool():
            address = tools.start(choice, place)
            return _cluster(
                place, choice, tools.kubeconfig(place), tools.context(choice.name, place), address, references()
            )
        case Own():
            with own.made(place):
                address = own.start(place)
                return _cluster(place, choice, own.kubeconfig(place), CONTEXT, address, references())


def _cluster(
    place: Place, choice: Choice, kubeconfig: Path, context: str, address: str, images: dict[str, str]
) -> Cluster:
    url = ensure_gitlab(place.folder, address)
    return Cluster(place.name, _kind(choice), place.folder, kubeconfig, context, address, url, images)


def _is_running(choice: Choice, place: Place) -> bool:
    match choice:
        case Named():
            cluster = load(place.name)
            return (cluster.kubeconfig, cluster.context) == (choice.kubeconfig, choice.context)
        case Tool():
            return tools.is_running(choice.name, place)
        case Own():
            return own.is_running(place)


def _kind(choice: Choice) -> str:
    return choice.name if isinstance(choice, Tool) else type(choice).__name__.lower()


def _kind_of(place: Place) -> str:
    """Which kind the directory was made for, empty if there is none."""
    file = place.folder / _KIND
    return file.read_text() if file.is_file() else ""


def _write_inventory(cluster: Cluster) -> None:
    """An inventory of one host, the control node."""
    variables = cluster.inventory / "group_vars" / "all"
    variables.mkdir(parents=True, exist_ok=True)
    hosts = {"all": {"hosts": {"cluster": {"ansible_connection": "local"}}}}
    _write(cluster.inventory / "hosts.yml", json.dumps(hosts))
    _write(variables / "cluster.yml", json.dumps(cluster.variables(), indent=1))


def _write(path: Path, text: str) -> None:
    """Some of it has tokens."""
    path.touch(mode=0o600)
    path.write_text(text + "\n")
