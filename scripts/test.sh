#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# All tests, the quick ones first; says at the end how long each part took.
set -euo pipefail
cd "$(dirname "$0")/.."

summary=()
part() {
  local name=$1 started=$SECONDS
  shift
  printf '\n==> %s\n' "$name" >&2
  "$@"
  summary+=("$(printf '%-40s %4d s' "$name" $((SECONDS - started)))")
}

PIFLEET_ANSIBLE_PLAYBOOKS=$(scripts/cores.sh)
export PIFLEET_ANSIBLE_PLAYBOOKS
part "unit tests, property tests" pytest -q -n auto tests/unit
part "lint, sanity, galaxy-importer" scripts/lint.sh
part "Molecule: default (container)" scripts/molecule.sh test --scenario-name default
part "Molecule: swarm (service)" scripts/molecule.sh test --scenario-name swarm

printf '\n'
printf '%s\n' "${summary[@]}"
printf 'all tests passed in %d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
