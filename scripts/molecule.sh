#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs molecule with the tools of this checkout, for instance `scripts/molecule.sh converge --scenario-name swarm`. `--all` are
# the scenarios of the Pis: Molecule shares one state between all that it runs, and a cluster is no Pi.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.venv/bin:$PATH COLUMNS=130
scenario=default
case " $* " in
*" --all "*) set -- "$@" --exclude kubernetes ;;
*" kubernetes "*) scenario=kubernetes ;;
esac
# With shared state Molecule leaves out the `destroy` at the start of `test`, and with `--destroy never` every one; a test
# begins with bare Pis, or a bare cluster, nevertheless.
[ "${1:-}" != test ] || molecule destroy --no-report --scenario-name "$scenario"
exec molecule "$@"
