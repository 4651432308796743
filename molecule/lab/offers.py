# SPDX-License-Identifier: GPL-3.0-or-later
"""What upgrades find in a lab: a newer package of Docker Engine on a Pi, another image in the registry."""

from __future__ import annotations

from images import runner_image

from .fleet import Lab
from .host import docker
from .services import REGISTRY_NAME, ensure_registry

IMAGE_LABEL = "ci.pifleet.build"
"""The label by which a pushed image is recognised on the Pis."""

_REPOSITORY = "/var/lib/lab-repository"
_SOURCE = "/etc/apt/sources.list.d/lab.list"

# The package that customize.sh has fetched into the image of the Pi. Without compression it takes a second.
_OFFER = f"""set -eu
mkdir -p {_REPOSITORY}
cd {_REPOSITORY}
original=$(ls /var/cache/apt/archives/docker.io_*.deb | head -n 1)
rm -rf tree ./*.deb
dpkg-deb --raw-extract "$original" tree
sed -i "s/^Version: .*/Version: $(dpkg-deb --field "$original" Version)+lab{{number}}/" tree/DEBIAN/control
{{change}}
dpkg-deb -Znone --build tree docker.io.deb >/dev/null
rm -r tree
{{{{
  dpkg-deb --field docker.io.deb
  echo "Filename: ./docker.io.deb"
  echo "Size: $(stat -c %s docker.io.deb)"
  echo "SHA256: $(sha256sum docker.io.deb | cut -d' ' -f1)"
}}}} >Packages
echo 'deb [trusted=yes] file:{_REPOSITORY} ./' >{_SOURCE}
"""


def offer_engine(lab: Lab, pi: str, number: int, change: str = ":") -> None:
    """Have apt on the Pi find a version of docker.io that ends in `+lab<number>`.

    change: a shell command that changes the unpacked package in the folder `tree`. Raises LabError.
    """
    lab.ssh(pi, _OFFER.format(number=number, change=change))


def withdraw_engine(lab: Lab, pi: str) -> None:
    """Have apt on the Pi find no more of what was offered. Raises LabError."""
    lab.ssh(pi, f"rm -rf {_SOURCE} {_REPOSITORY} && apt-get update -q")


def push_runner(lab: Lab, name: str, label: str, *instructions: str) -> str:
    """Push a build of GitLab Runner's image with this label under a name such as `gitlab-runner:lab`.

    instructions: of a Dockerfile, after FROM. Returns the reference that the Pis pull. Raises LabError.
    """
    tag = f"pifleet/gitlab-runner:build-{label}"
    dockerfile = "\n".join([f"FROM {runner_image()}", *instructions, ""])
    docker("build", "-q", "-t", tag, "--label", f"{IMAGE_LABEL}={label}", "-", stdin=dockerfile)
    ensure_registry(lab.folder.name, {name: tag})
    docker("rmi", tag)
    return f"{REGISTRY_NAME}/{name}"


def restore_runner(lab: Lab, name: str) -> None:
    """Push the lab's own image under that name again. Raises LabError."""
    ensure_registry(lab.folder.name, {name: runner_image()})
