#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs molecule with the tools of this checkout, for instance `scripts/molecule.sh converge --scenario-name swarm`.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.venv/bin:$PATH
exec molecule "$@"
