#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# All tests. The lab and the cluster wait much, so they have company; what runs beside the unit tests is shown when it has
# ended. Every part runs to its end, whatever becomes of the others; how long each took, and which failed, is said last.
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

beside=()
# Runs a command beside all that follows, in a process group of its own, by which it can be ended.
beside() {
  set -m
  "$@" >/dev/null &
  set +m
  beside+=($!)
}

checks() {
  part "lint, sanity, galaxy-importer" nice scripts/lint.sh
  part "real cluster, if at hand" nice scripts/kubernetes.sh --if-at-hand
}

end_beside() {
  local group
  for group in "${beside[@]}"; do kill -- "-$group" 2>/dev/null || true; done
}
trap end_beside EXIT

part "images of the lab" env PYTHONPATH=molecule python -m images
# The lab goes first. Linters use one core and the cluster waits much, so the unit tests, which can use every core, take what
# those leave.
beside part "Molecule scenarios" scripts/molecule.sh test --all
beside checks
PIFLEET_ANSIBLE_PLAYBOOKS=$(nice scripts/cores.sh)
export PIFLEET_ANSIBLE_PLAYBOOKS
part "unit tests, property tests" nice pytest -q -n auto --durations=15 tests/unit
printf '\n==> waiting for what runs beside (%s)\n' "$logs" >&2
wait
for log in "$logs"/{lint*,real*,Molecule*}.log; do
  printf '\n==> %s\n' "$(basename "$log" .log)"
  cat "$log"
done

printf '\nPIFLEET_SEED=%s\n' "$PIFLEET_SEED"
cat "$logs/summary"
if grep -q FAILED "$logs/summary"; then
  grep --no-filename -E '^.{0,20}(FAILED|ERROR) ' "$logs"/*.log || true # once more, where a reader looks first
  exit 1
fi
printf 'all tests passed in %d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
