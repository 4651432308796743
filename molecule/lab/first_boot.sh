#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs in a simulated Pi at its first boot: the settings that users make in Raspberry Pi Imager.
# $1 public SSH key, $2 yes: sudo requires a password, $3 yes: looks like 32-bit Raspberry Pi OS
set -eu

(umask 077 && echo "$1" >/home/pi/.ssh/authorized_keys && chown pi:pi /home/pi/.ssh/authorized_keys)
# For the tests, which inspect a Pi as root independent of sudo; playbooks connect as pi.
(umask 077 && mkdir -p /root/.ssh && echo "$1" >/root/.ssh/authorized_keys)

if [ "$2" != yes ]; then
  (umask 337 && echo 'pi ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/010_pi-nopasswd)
fi

if [ "$3" = yes ]; then
  sed -i 's/^ID=.*/ID=raspbian\nID_LIKE=debian/; s/Debian/Raspbian/' /usr/lib/os-release
  # All programs stay those of the host's architecture; only the answer to --print-architecture is that of a 32-bit userland.
  cat >/usr/local/bin/dpkg <<'DPKG'
#!/bin/sh
[ "$*" = --print-architecture ] && { echo armhf; exit; }
exec /usr/bin/dpkg "$@"
DPKG
  chmod 0755 /usr/local/bin/dpkg
fi
