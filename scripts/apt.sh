# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# For scripts that need Debian packages: `. scripts/apt.sh`, then `install_packages NAME...`.

say() { printf '[setup] %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

install_packages() {
  command -v apt-get >/dev/null || die "These Debian packages are missing and there is no apt-get to install them with: $*"
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || die "Run as root or install sudo: these Debian packages are missing: $*"
  say "installing Debian packages: $*"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}
