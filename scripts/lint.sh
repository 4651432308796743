#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every linter. The collection is built once; sanity and galaxy-importer look at what users would install.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n[lint] %s\n' "$*" >&2; }

step "ruff"
ruff check .
ruff format --check --quiet . || { ruff format --diff --quiet . | head -n 40; exit 1; }

step "mypy"
MYPYPATH=.cache/collections:tests:molecule mypy plugins/action plugins/filter plugins/plugin_utils plugins/modules
MYPYPATH=roles/disk_space/files:plugins/module_utils mypy roles/disk_space/files
MYPYPATH=tests:molecule:.cache/collections:tests/unit/registration mypy tests/conftest.py tests/documentation.py tests/drawing.py tests/sizes.py tests/load tests/plays tests/fake_gitlab tests/fake_kubernetes tests/runner_standin molecule

step "shellcheck"
find .ci/run molecule roles scripts -type f \( -name '*.sh' -o -exec grep -qE '^#!.*sh$' {} \; \) -exec shellcheck {} +

step "yamllint"
yamllint --strict .

step "ansible-lint (production profile)"
ansible-lint --offline --strict --profile production

step "changelog fragments"
antsibull-changelog lint

step "building the artifact"
build=.cache/build
rm -rf "$build"
mkdir -p "$build"
ansible-galaxy collection build --force --output-path "$build" >/dev/null
artifact=$(ls "$build"/pifleet-ci-*.tar.gz)
tar tzf "$artifact" | sed 's#/.*##' | sort -u | tr '\n' ' ' >&2

step "ansible-test sanity"
scripts/sanity.sh "$artifact"

step "galaxy-importer"
scripts/import_artifact.sh "$artifact"
