#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the lab needs beside Python: a Docker engine, and the programs that make root file systems and reach the Pis.
# Does nothing that is done already; says in one line what is missing when it cannot go on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/apt.sh

missing=()
# command:package, where the two names differ
for pair in mmdebstrap:mmdebstrap ssh:openssh-client ssh-keygen:openssh-client ps:procps strace:strace git:git mcopy:mtools openssl:openssl; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if ! command -v docker >/dev/null || { ! docker info >/dev/null 2>&1 && [ ! -x /usr/sbin/dockerd ] && ! command -v dockerd >/dev/null; }; then
  missing+=(docker.io)
fi
[ "${#missing[@]}" -eq 0 ] || install_packages "${missing[@]}"
# Newer releases package the client apart from the engine.
command -v docker >/dev/null || install_packages docker-cli
