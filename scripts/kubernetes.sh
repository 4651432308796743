#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Tests in a real cluster, which is removed afterwards. `--if-at-hand`: those that take seconds, and only where a cluster can be
# had without a build; where none can that is said, and is an error with PIFLEET_KUBERNETES=required.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.venv/bin:$PATH PYTHONPATH=molecule PIFLEET_CLUSTER=kubernetes

if [ "${1:-}" = --if-at-hand ]; then
  PIFLEET_CLUSTER=kubernetes-test
  export PYTEST_ADDOPTS='-m "not slow"'
  if ! python -m cluster at-hand; then
    [ "${PIFLEET_KUBERNETES:-}" != required ]
    exit
  fi
fi
trap 'python -m cluster down "$PIFLEET_CLUSTER"' EXIT
scripts/molecule.sh test --scenario-name kubernetes --destroy never
[ "${1:-}" != --if-at-hand ] || exit 0
# The table of registration, with Secrets of this cluster in place of a fake one's
registration=()
for name in table table_of_ways parallel lost_replies stalls; do registration+=("tests/unit/registration/test_$name.py"); done
pytest -q -k secret "${registration[@]}"
PIFLEET_HISTORIES=${PIFLEET_HISTORIES:-80} pytest -q tests/unit/registration/test_histories.py
