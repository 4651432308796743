#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A 32-bit ARM Python from Debian in .cache/armhf, run through qemu-arm-static, for the tests of what runs on a Pi.
# Nothing is installed: the packages are unpacked, and apt keeps its state beside them.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v qemu-arm-static >/dev/null || { echo "qemu-arm-static is missing (package qemu-user-static)" >&2; exit 1; }

root=$PWD/.cache/armhf
state=$root.apt
rm -rf "$root" "$state"
mkdir -p "$root/usr/local/bin" "$state/lists/partial" "$state/cache/archives/partial" "$state/packages"
touch "$state/status"
apt=(apt-get -qq -o APT::Architecture=armhf -o APT::Architectures=armhf -o "Dir::State=$state"
  -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache"
  -o APT::Sandbox::User=root)

"${apt[@]}" update 2>/dev/null || true # repositories without armhf are no obstacle
version=$(apt-cache show python3-minimal | grep -oP '^Version: \K3\.\d+' | head -n 1)
cd "$state/packages"
"${apt[@]}" download "python$version-minimal" "libpython$version-minimal" "libpython$version-stdlib" \
  libc6 libgcc-s1 libexpat1 zlib1g libssl3 libffi8 liblzma5 libbz2-1.0 libcrypt1 libuuid1
for package in *.deb; do dpkg-deb -x "$package" "$root"; done

# what a play can name as ansible_python_interpreter
cat >"$root/usr/local/bin/python" <<END
#!/bin/sh
exec qemu-arm-static -L $root $root/usr/bin/python$version "\$@"
END
chmod 755 "$root/usr/local/bin/python"
rm -rf "$state"
"$root/usr/local/bin/python" -c 'import platform; print("Python", platform.python_version(), "on", platform.machine())'
