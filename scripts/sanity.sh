#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ansible-test sanity without containers, on the built artifact ($1) in a collection tree of its own.
set -euo pipefail
artifact=$(realpath "$1")
cd "$(dirname "$0")/.."

# Outside of any checkout: below one, ansible-test would look only at what git tracks, which is nothing here.
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/ansible_collections/pifleet/ci/tests"
cp -r .cache/collections/ansible_collections/community "$tree/ansible_collections/"
tar xzf "$artifact" -C "$tree/ansible_collections/pifleet/ci"
cp tests/config.yml "$tree/ansible_collections/pifleet/ci/tests/"
if [ -d tests/sanity ]; then cp -r tests/sanity "$tree/ansible_collections/pifleet/ci/tests/"; fi

# ansible-test bootstraps its environments with a pip that it would download; the one that Python brings does as well
# (https://github.com/ansible/ansible/issues/77304).
export HOME=$PWD/.cache/sanity-home
cache=$HOME/.ansible/test/cache
mkdir -p "$cache"
requirements=$(python -c 'import ansible_test._internal.python_requirements as module; print(module.__file__)')
grep -oP "\bpip='\K[0-9.]+" "$requirements" | while read -r version; do
  printf 'import ensurepip\nensurepip.bootstrap(upgrade=True, default_pip=True)\n' >"$cache/get_pip_${version//./_}.py"
done

cd "$tree/ansible_collections/pifleet/ci"
python_version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ansible-test sanity --venv --python "$python_version" --color no "${@:2}"
