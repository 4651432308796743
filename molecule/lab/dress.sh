#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs in a simulated Pi at its first boot: what an owner sets with Raspberry Pi Imager.
# $1 public SSH key, $2 yes: sudo asks for a password, $3 yes: 32-bit Raspberry Pi OS
set -eu

(umask 077 && echo "$1" >/home/pi/.ssh/authorized_keys && chown pi:pi /home/pi/.ssh/authorized_keys)
# Not for playbooks: the tests look at a Pi as root, whatever its sudo asks for.
(umask 077 && mkdir -p /root/.ssh && echo "$1" >/root/.ssh/authorized_keys)

if [ "$2" != yes ]; then
  (umask 337 && echo 'pi ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/010_pi-nopasswd)
fi

if [ "$3" = yes ]; then
  sed -i 's/^ID=.*/ID=raspbian\nID_LIKE=debian/; s/Debian/Raspbian/' /usr/lib/os-release
  # Packages and engine stay those of this machine; dpkg answers as on a 32-bit userland when a role asks.
  cat >/usr/local/bin/dpkg <<'DPKG'
#!/bin/sh
[ "$*" = --print-architecture ] && { echo armhf; exit; }
exec /usr/bin/dpkg "$@"
DPKG
  chmod 0755 /usr/local/bin/dpkg
fi
