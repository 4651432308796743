#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Turns the root file system of a Pi ($1, after customize.sh) into one for a container.
set -eu
root=$1

# Units that a container cannot run, and that a Pi's roles do not touch.
chroot "$root" systemctl mask systemd-modules-load.service systemd-logind.service getty.target \
  systemd-udevd.service systemd-udev-trigger.service systemd-networkd.service systemd-networkd-wait-online.service systemd-resolved.service
