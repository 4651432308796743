#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# All tests. The lab waits much, so it has company; what it says is shown when it has ended. Every part runs to its end,
# whatever becomes of the others; how long each took, and which failed, is said last.
set -euo pipefail
cd "$(dirname "$0")/.."

logs=.cache/test
mkdir -p "$logs"
rm -f "$logs"/*

# Runs a part and writes down how it ended: `part NAME COMMAND...`
part() {
  local name=$1 started=$SECONDS ended=passed
  shift
  printf '\n==> %s\n' "$name" >&2
  "$@" 2>&1 | tee "$logs/$name.log" || ended=FAILED
  printf '%-32s %-6s %4d s\n' "$name" "$ended" $((SECONDS - started)) >>"$logs/summary"
}

# All that is drawn is drawn from one seed.
export PIFLEET_SEED=${PIFLEET_SEED:-$SRANDOM}

part "images of the lab" env PYTHONPATH=molecule python -m images
set -m # the background gets a process group, by which it can be ended
part "Molecule scenarios" scripts/molecule.sh test --all >/dev/null &
set +m
trap 'kill -- -$! 2>/dev/null || true' EXIT
# The lab goes first: what has nothing to wait for takes the time in which that waits. The unit tests come last, because they
# can use every core that the lab leaves.
part "lint, sanity, galaxy-importer" nice scripts/lint.sh
PIFLEET_ANSIBLE_PLAYBOOKS=$(nice scripts/cores.sh)
export PIFLEET_ANSIBLE_PLAYBOOKS
part "unit tests, property tests" nice pytest -q -n auto --durations=15 tests/unit
part "real cluster, if at hand" nice scripts/kubernetes.sh --if-at-hand
printf '\n==> waiting for the Molecule scenarios (%s)\n' "$logs/Molecule scenarios.log" >&2
wait
cat "$logs/Molecule scenarios.log"

printf '\nPIFLEET_SEED=%s\n' "$PIFLEET_SEED"
cat "$logs/summary"
if grep -q FAILED "$logs/summary"; then
  grep --no-filename -E '^.{0,20}(FAILED|ERROR) ' "$logs"/*.log || true # once more, where a reader looks first
  exit 1
fi
printf 'all tests passed in %d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
