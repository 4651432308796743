# SPDX-License-Identifier: GPL-3.0-or-later
"""A signed apt repository of Docker Engine on a Pi of the lab, laid out as Docker's. The programs are Debian's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .host import docker
from .signing import signed_release

_DIRECTORY = "/var/lib/lab-docker-packages"

# Of the packages that are in the image of the Pi. On bookworm docker.io has the client in it.
_BUILD = r"""set -eu
root=$1
shift
archives=/var/cache/apt/archives
. /etc/os-release
architecture=$(dpkg --print-architecture)
index=$root/debian/dists/$VERSION_CODENAME/stable/binary-$architecture
mkdir -p "$root/debian/pool" "$index"
cd "$root/debian"

# build NAME RELATIONS [DEBIAN-PACKAGE...]: the maintainer scripts are those of the first.
build() {
  name=$1 relations=$2
  shift 2
  rm -rf tree
  mkdir -p tree/DEBIAN
  for package in "$@"; do
    deb=$(ls "$archives/${package}"_*.deb 2>/dev/null | head -n 1)
    test -n "$deb" || continue
    dpkg-deb --extract "$deb" tree
    test -e tree/DEBIAN/scripts || { dpkg-deb --control "$deb" tree/DEBIAN && touch tree/DEBIAN/scripts; }
  done
  rm -rf tree/usr/share/doc tree/DEBIAN/scripts tree/DEBIAN/md5sums
  printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: The lab <nobody@lab.invalid>\n' \
    "$name" "$version" "$architecture" >tree/DEBIAN/control
  printf '%b' "$relations" >>tree/DEBIAN/control
  echo 'Description: Docker Engine in the lab' >>tree/DEBIAN/control
  dpkg-deb --root-owner-group -Znone --build tree "pool/${name}_${version}.deb" >/dev/null
  rm -r tree
}

for version in "$@"; do
  build containerd.io 'Conflicts: containerd, runc\nReplaces: containerd, runc\n' containerd runc
  build docker-ce-cli 'Conflicts: docker-cli\nReplaces: docker-cli\n' docker-cli
  build docker-buildx-plugin ''
  build docker-ce \
    'Depends: docker-ce-cli, containerd.io, iptables\nConflicts: docker.io\nReplaces: docker.io\n' docker.io
done
for deb in pool/*.deb; do
  dpkg-deb --field "$deb"
  echo "Filename: $deb"
  echo "Size: $(stat -c %s "$deb")"
  echo "SHA256: $(sha256sum "$deb" | cut -d' ' -f1)"
  echo
done >"$index/Packages"
"""


def offer_docker_packages(container: str, versions: Sequence[str]) -> dict[str, Any]:
    """Put a repository with Docker Engine in these versions on the Pi, and return the role's settings for it.

    container: of the Pi. Raises LabError.
    """

    def run(command: str, *arguments: str) -> str:
        return docker("exec", container, "/bin/sh", "-c", command, "sh", *arguments)

    run(_BUILD, _DIRECTORY, *versions)
    codename, architecture = run(". /etc/os-release; echo $VERSION_CODENAME; dpkg --print-architecture").splitlines()
    suite = f"{_DIRECTORY}/debian/dists/{codename}"
    index = f"{suite}/stable/binary-{architecture}/Packages"
    packages = run('cat "$1"', index)
    release, key = signed_release(codename, "stable", architecture, packages)
    for path, content in ((index, packages), (f"{suite}/InRelease", release)):
        run('printf %s "$2" >"$1"', path, content)
    return {"docker_source": "docker", "docker_repository_url": f"file:{_DIRECTORY}", "_docker_repository_key": key}
