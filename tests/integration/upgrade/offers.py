# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade finds: another image under the tag of GitLab Runner, a newer package of Docker Engine."""

from __future__ import annotations

from images import runner_image
from lab.fleet import Lab
from lab.host import docker
from lab.services import ensure_registry

RUNNER = "gitlab-runner:lab"
LABEL = "ci.pifleet.upgrade"
REPOSITORY = "/var/lib/upgrade-repository"
SOURCE = "/etc/apt/sources.list.d/upgrade.list"

# What the lab has fetched into the image of the Pi. Without compression it takes a second.
_BUILD = f"""set -eu
mkdir -p {REPOSITORY}
cd {REPOSITORY}
original=$(ls /var/cache/apt/archives/docker.io_*.deb | head -n 1)
rm -rf tree ./*.deb
dpkg-deb --raw-extract "$original" tree
sed -i "s/^Version: .*/Version: $(dpkg-deb --field "$original" Version)+upgrade{{number}}/" tree/DEBIAN/control
{{change}}
dpkg-deb -Znone --build tree docker.io.deb >/dev/null
rm -r tree
{{{{
  dpkg-deb --field docker.io.deb
  echo "Filename: ./docker.io.deb"
  echo "Size: $(stat -c %s docker.io.deb)"
  echo "SHA256: $(sha256sum docker.io.deb | cut -d' ' -f1)"
}}}} >Packages
echo 'deb [trusted=yes] file:{REPOSITORY} ./' >{SOURCE}
"""
BROKEN_PACKAGE = "printf '#!/bin/sh\\nexit 1\\n' >tree/DEBIAN/preinst; chmod 755 tree/DEBIAN/preinst"


def offer_engine(lab: Lab, pi: str, number: int, change: str = ":") -> None:
    """Have apt on the Pi find a version of docker.io that ends in `+upgrade<number>`.

    change: a shell command that changes the unpacked package in the folder `tree`.
    """
    lab.ssh(pi, _BUILD.format(number=number, change=change))


def withdraw_engine(lab: Lab, pi: str) -> None:
    """Have apt on the Pi find no more of what was offered."""
    lab.ssh(pi, f"rm -rf {SOURCE} {REPOSITORY} && apt-get update -q")


def push_runner(lab: Lab, value: str, *instructions: str) -> None:
    """Push an image with the label `value` under the tag that the Pis of the lab have."""
    tag = f"pifleet/gitlab-runner:upgrade-{value}"
    dockerfile = "\n".join([f"FROM {runner_image()}", *instructions, ""])
    docker("build", "-q", "-t", tag, "--label", f"{LABEL}={value}", "-", stdin=dockerfile)
    ensure_registry(lab.folder.name, {RUNNER: tag})
    docker("rmi", tag)


def restore_runner(lab: Lab) -> None:
    """Push the lab's own image under that tag again."""
    ensure_registry(lab.folder.name, {RUNNER: runner_image()})
