#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Turns the root file system of a simulated Pi ($1, after the lab's customize.sh) into one that boots on a machine of its own.
set -eu
root=$1

# Only unpacked: to configure the kernel's package would make an initramfs under emulation, a quarter of an hour. Into a folder
# of its own: over the root it would replace the link /lib.
# shellcheck disable=SC2016 # the inner shell expands it
chroot "$root" sh -c 'cd /tmp && apt-get -qq download "$(apt-cache depends linux-image-arm64 | sed -n "s/^ *Depends: //p")"'
dpkg-deb --extract "$root"/tmp/linux-image-*.deb "$root/tmp/kernel"
mkdir -p "$root/usr/lib/modules"
mv "$root"/tmp/kernel/boot/vmlinuz-* "$root/boot/"
for modules in "$root"/tmp/kernel/lib/modules/* "$root"/tmp/kernel/usr/lib/modules/*; do
  [ ! -d "$modules" ] || mv "$modules" "$root/usr/lib/modules/"
done
rm -r "$root"/tmp/linux-image-*.deb "$root/tmp/kernel"
depmod -b "$root" "$(ls "$root/usr/lib/modules")"

echo raspberrypi >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 raspberrypi\n' >"$root/etc/hosts"
# Beside other work udev takes longer than systemd's 90 seconds to find the partition, and the machine stays in emergency mode.
cat >"$root/etc/fstab" <<'FSTAB'
/dev/vda / ext4 defaults,noatime 0 0
/dev/vdb /boot/firmware vfat defaults,x-systemd.device-timeout=15min 0 0
FSTAB

# QEMU's user networking: https://www.qemu.org/docs/master/system/devices/net.html
rm -f "$root/etc/resolv.conf"
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
cat >"$root/etc/systemd/network/20-wired.network" <<'NETWORK'
[Match]
Name=e*
[Network]
DHCP=ipv4
NETWORK
chroot "$root" systemctl enable systemd-networkd.service
chroot "$root" systemctl mask systemd-networkd-wait-online.service

# Settings come from the boot partition, as they do from Raspberry Pi Imager.
cat >"$root/etc/systemd/system/first-boot.service" <<'UNIT'
[Unit]
Description=Settings from the boot partition
ConditionPathExists=!/home/pi/.ssh/authorized_keys
RequiresMountsFor=/boot/firmware
Before=ssh.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'exec /bin/sh /boot/firmware/first_boot.sh "$$(cat /boot/firmware/key.pub)" yes no'
[Install]
WantedBy=multi-user.target
UNIT
chroot "$root" systemctl enable first-boot.service
