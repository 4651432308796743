#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# galaxy-importer on the built artifact ($1). It pins libraries that the other tools need newer, hence an environment of its own.
set -euo pipefail
artifact=$(realpath "$1")
cd "$(dirname "$0")/.."

environment=$PWD/.cache/galaxy-importer
if [ ! -e "$environment/.complete" ]; then
  python -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check galaxy-importer
  touch "$environment/.complete"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# ansible-test has run before this; ansible-doc and the linters of roles are what is left for the importer to see.
printf '[galaxy-importer]\nrun_ansible_test = False\nrun_ansible_lint = False\n' >"$work/galaxy-importer.cfg"
touch "$work/ansible.cfg"
cd "$work"
PATH=$environment/bin:$PATH GALAXY_IMPORTER_CONFIG=$work/galaxy-importer.cfg ANSIBLE_CONFIG=$work/ansible.cfg \
  python -m galaxy_importer.main "$artifact" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
if grep -E '^(ERROR|WARNING)' "$work/log" >&2; then
  echo "galaxy-importer complains, see above" >&2
  exit 1
fi
