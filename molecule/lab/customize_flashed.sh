#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Turns the root file system of a Pi ($1, after customize.sh) into one that waits for cloud-init, as Raspberry Pi OS does
# since trixie: no SSH until it is asked for, and settings that are read from the boot partition.
set -eu
root=$1

chroot "$root" systemctl disable ssh.service
chroot "$root" passwd --lock pi
# What the package rpi-cloud-init-mods brings, with a slash at the end of the address, which cloud-init of bookworm needs:
# https://github.com/RPi-Distro/pi-gen/tree/master/stage2/04-cloud-init
cat >"$root/etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg" <<'CFG'
datasource_list: [NoCloud, None]
datasource:
  NoCloud:
    seedfrom: file:///boot/firmware/
ssh_deletekeys: false
CFG
