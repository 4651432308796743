#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes .cache/cores/<minor> with every supported ansible-core that a Python of this machine can run, and prints their
# ansible-playbook programs, separated by colons. Does nothing that is done already; says which core it leaves out.
set -euo pipefail
cd "$(dirname "$0")/.."

# A core and the Pythons that it supports on the control node; the oldest that runs here is taken.
# https://docs.ansible.com/ansible-core/devel/reference_appendices/release_and_maintenance.html
cores=("2.19 3.11 3.12 3.13" "2.20 3.12 3.13 3.14" "2.21 3.12 3.13 3.14" "2.22 3.13 3.14 3.15")

say() { printf '[cores] %s\n' "$*" >&2; }

find_python() {
  local version candidate
  for version in "$@"; do
    # A shim of pyenv refuses to run unless its version is selected; the program behind it runs.
    for candidate in "python$version" "$pyenv/versions/$version".*/bin/python; do
      if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        printf '%s\n' "$candidate"
        return
      fi
    done
  done
}

install_core() {
  local environment=$1 minor=$2 pip
  pip=("$environment/bin/pip" install --quiet --no-compile --disable-pip-version-check -r requirements.txt "$kubernetes")
  # A minor that is not released yet is tried as it is; of the others no pre-release is taken.
  "${pip[@]}" "ansible-core==$minor.*" 2>/dev/null || "${pip[@]}" "ansible-core~=$minor.0b1"
}

make_core() {
  local minor=$1 environment=$PWD/.cache/cores/$1 stamp python
  shift
  stamp=$environment/.requirements-$({ cat requirements.txt; echo "$kubernetes"; } | sha256sum | cut -c1-12)
  if [ ! -e "$stamp" ]; then
    python=$(find_python "$@")
    if [ -z "$python" ]; then
      say "ansible-core $minor is left out: of the Pythons it runs on ($*) this machine has none"
      return
    fi
    rm -rf "$environment"
    "$python" -m venv "$environment"
    install_core "$environment" "$minor"
    say "made .cache/cores/$minor: $("$environment/bin/pip" freeze | grep ansible-core) on $("$python" --version)"
    touch "$stamp"
  fi
  playbooks+=("$environment/bin/ansible-playbook")
}

kubernetes=$(grep ^kubernetes requirements-dev.txt) # the collection runs without it, but not all of its tests
pyenv=$(pyenv root 2>/dev/null || true)
playbooks=()
for core in "${cores[@]}"; do
  read -ra words <<<"$core"
  make_core "${words[@]}"
done
IFS=:
printf '%s\n' "${playbooks[*]}"
