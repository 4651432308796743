#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the cluster of `make kubernetes` needs beside Python and Go, where neither a cluster is named nor kind or k3d is there.
# Does nothing that is done already; says in one line what is missing when it cannot go on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/apt.sh
export PATH=$PATH:/usr/sbin:/sbin

[ -z "${PIFLEET_KUBECONFIG:-}" ] || exit 0
! command -v kind >/dev/null || exit 0
! command -v k3d >/dev/null || exit 0

missing=()
# command:package, where the two names differ
for pair in containerd:containerd runc:runc ip:iproute2 iptables:iptables unshare:util-linux mount:mount mmdebstrap:mmdebstrap; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ -x /usr/lib/cni/bridge ] || missing+=(containernetworking-plugins)
[ "${#missing[@]}" -eq 0 ] || install_packages "${missing[@]}"
