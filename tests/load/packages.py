# SPDX-License-Identifier: GPL-3.0-or-later
"""A newer package of Docker Engine for a Pi: the one that it has, under a higher version, in a repository on the Pi."""

from __future__ import annotations

from lab.fleet import Lab

# What lab/customize.sh has fetched into the image of the Pi. Without compression it takes a second.
_OFFER = """set -eu
mkdir -p /var/lib/load-repository
cd /var/lib/load-repository
original=$(ls /var/cache/apt/archives/docker.io_*.deb | head -n 1)
if [ ! -d tree ]; then dpkg-deb --raw-extract "$original" tree; fi
version=$(dpkg-deb --field "$original" Version)+load{number}
sed -i "s/^Version: .*/Version: $version/" tree/DEBIAN/control
rm -f ./*.deb
dpkg-deb -Znone --build tree docker.io.deb >/dev/null
{{
  dpkg-deb --field docker.io.deb
  echo "Filename: ./docker.io.deb"
  echo "Size: $(stat -c %s docker.io.deb)"
  echo "SHA256: $(sha256sum docker.io.deb | cut -d' ' -f1)"
}} >Packages
echo 'deb [trusted=yes] file:/var/lib/load-repository ./' >/etc/apt/sources.list.d/load.list
"""


def offer_engine(lab: Lab, pi: str, number: int) -> None:
    """Have apt on the Pi find a version of docker.io that ends in `+load<number>`."""
    lab.ssh(pi, _OFFER.format(number=number))


def has_engine(number: int) -> str:
    """A shell command that fails unless the version that was offered is installed and its engine answers."""
    return f"dpkg-query -W -f '${{Version}}' docker.io | grep -q '+load{number}$' && docker version >/dev/null"
