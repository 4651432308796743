#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs what the tests and the lab need: Debian packages, a Python environment in .venv, the collections in .cache/collections.
# Does nothing that is done already; says in one line what is missing when it cannot go on.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '[setup] %s\n' "$*" >&2; }
die() { printf '[setup] %s\n' "$*" >&2; exit 1; }
root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

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

install_packages() {
  local missing=() pair
  # command:package, where the two names differ
  for pair in "mmdebstrap:mmdebstrap" "ssh:openssh-client" "ssh-keygen:openssh-client" "ps:procps" "strace:strace" "git:git"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  if ! command -v docker >/dev/null || { ! docker info >/dev/null 2>&1 && [ ! -x /usr/sbin/dockerd ] && ! command -v dockerd >/dev/null; }; then
    missing+=(docker.io)
  fi
  "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
  [ "${#missing[@]}" -eq 0 ] && return
  command -v apt-get >/dev/null || die "These programs are missing and there is no apt-get to install them with: ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || die "Run as root or install sudo: these Debian packages are missing: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  root apt-get update -qq
  root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
  # Newer releases package the client apart from the engine.
  command -v docker >/dev/null || root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends docker-cli >/dev/null
}

make_environment() {
  local stamp
  stamp=".venv/.requirements-$(cat requirements.txt requirements-dev.txt | sha256sum | cut -c1-12)"
  [ -e "$stamp" ] && return
  say "making the Python environment .venv with $("$python" --version)"
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
  touch "$stamp"
}

install_collections() {
  # Galaxy is not needed: the `ansible` package of the Python registry contains community.docker.
  local tree=.cache/collections/ansible_collections
  mkdir -p "$tree/pifleet"
  [ -e "$tree/pifleet/ci/galaxy.yml" ] || ln -sfn ../../../.. "$tree/pifleet/ci"
  [ -e "$tree/community/docker/MANIFEST.json" ] && return
  say "installing community.docker into .cache/collections"
  local download
  download=$(mktemp -d)
  .venv/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$download" ansible
  .venv/bin/python - "$download" <<'PYTHON'
import pathlib
import sys
import zipfile

wheel = next(pathlib.Path(sys.argv[1]).glob("ansible-*.whl"))
wanted = ("ansible_collections/community/docker/", "ansible_collections/community/library_inventory_filtering_v1/")
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(".cache/collections", [name for name in archive.namelist() if name.startswith(wanted)])
PYTHON
  rm -rf "$download"
}

python=$(find_python)
install_packages
make_environment
install_collections
