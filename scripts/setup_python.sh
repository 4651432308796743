#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What unit tests and lint need: a Python environment in .venv, the collections in .cache/collections.
# Does nothing that is done already; says in one line what is missing when it cannot go on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/apt.sh

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "Python 3.11 or newer is needed on this machine: install it (for example python3.11) or name one with PYTHON=..."
}

make_environment() {
  local stamp python
  stamp=".venv/.requirements-$(cat requirements.txt requirements-dev.txt | sha256sum | cut -c1-12)"
  [ -e "$stamp" ] && return
  if [ ! -x .venv/bin/python ]; then
    python=$(find_python)
    say "making the Python environment .venv with $("$python" --version)"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
      install_packages "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    "$python" -m venv .venv
  fi
  say "installing what requirements-dev.txt names into .venv"
  .venv/bin/pip install --quiet --no-compile --disable-pip-version-check -r requirements-dev.txt
  touch "$stamp"
}

install_collections() {
  # Galaxy is not needed: the `ansible` package of the Python registry contains both.
  local tree=.cache/collections/ansible_collections download
  mkdir -p "$tree/pifleet"
  [ -e "$tree/pifleet/ci/galaxy.yml" ] || ln -sfn ../../../.. "$tree/pifleet/ci"
  [ -e "$tree/community/docker/MANIFEST.json" ] && [ -e "$tree/kubernetes/core/MANIFEST.json" ] && return
  say "installing community.docker and kubernetes.core into .cache/collections"
  download=$(mktemp -d)
  .venv/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$download" ansible
  .venv/bin/python - "$download" <<'PYTHON'
import pathlib
import sys
import zipfile

wheel = next(pathlib.Path(sys.argv[1]).glob("ansible-*.whl"))
wanted = ("community/docker/", "community/library_inventory_filtering_v1/", "kubernetes/core/")
folders = tuple(f"ansible_collections/{folder}" for folder in wanted)
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(".cache/collections", [name for name in archive.namelist() if name.startswith(folders)])
PYTHON
  rm -rf "$download"
}

make_environment
install_collections
