#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs molecule with the tools of this checkout, for instance `scripts/molecule.sh converge --scenario-name swarm`.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.venv/bin:$PATH COLUMNS=130
# With shared state Molecule leaves out the `destroy` at the start of `test`; a test begins with bare Pis nevertheless.
[ "${1:-}" != test ] || molecule destroy --no-report
exec molecule "$@"
