#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What `make arm` needs beside Python: QEMU, and the programs that make the disk of an emulated machine.
# Does nothing that is done already; says in one line what is missing when it cannot go on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/apt.sh
export PATH=$PATH:/usr/sbin:/sbin

missing=()
# command:package, where the two names differ
for pair in qemu-system-aarch64:qemu-system-arm qemu-img:qemu-utils mmdebstrap:mmdebstrap arch-test:arch-test mke2fs:e2fsprogs depmod:kmod cpio:cpio mformat:mtools ssh:openssh-client ssh-keygen:openssh-client ps:procps dpkg-deb:dpkg gpg:gnupg; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ "${#missing[@]}" -eq 0 ] || install_packages "${missing[@]}"

# The programs of the machine's root file system run here while that is made.
binfmt=/proc/sys/fs/binfmt_misc
if [ "$(uname -m)" != aarch64 ] && [ ! -e $binfmt/qemu-aarch64 ]; then
  install_packages qemu-user-static binfmt-support
  [ -e $binfmt/status ] || as_root mount -t binfmt_misc binfmt_misc $binfmt ||
    die "this machine does not let us mount binfmt_misc, without which no program for 64-bit ARM runs here"
  [ -e $binfmt/qemu-aarch64 ] || as_root update-binfmts --enable qemu-aarch64
  [ -e $binfmt/qemu-aarch64 ] || die "the kernel has no entry $binfmt/qemu-aarch64 although qemu-user-static is installed"
fi
