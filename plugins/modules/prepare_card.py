#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: prepare_card
short_description: Write the settings of the first boot onto a flashed card
version_added: 1.0.0
author:
  - The pifleet.ci authors (@pifleet)
description:
  - Writes files onto the boot partition of a freshly flashed card, with which the Raspberry Pi comes up with its host
    name, a user with SSH keys, Wi-Fi and time zone, without a monitor.
  - Runs on the control node alone. The host does not have to exist yet.
  - Which files these are, the boot partition tells by what it has. With O(format=cloud_init) they are C(user-data),
    C(meta-data) and with Wi-Fi C(network-config), with O(format=custom_toml) C(custom.toml). With Wi-Fi its country is
    added to C(cmdline.txt). All other content stays.
  - All settings are checked before anything is written.
options:
  target:
    description:
      - A directory where the boot partition is mounted, an image, or a block device that is not mounted. A relative
        path begins in the working directory.
      - Images and devices need C(mtools) on the control node and no root, if the user may write to them.
    type: str
    required: true
  format:
    description:
      - What the system on the card reads at its first boot.
      - V(cloud_init) is for Raspberry Pi OS trixie, Ubuntu, and Debian with cloud-init; V(custom_toml) for Raspberry Pi
        OS bookworm; V(auto) looks at the boot partition.
    type: str
    choices: [auto, cloud_init, custom_toml]
    default: auto
  hostname:
    description: The host name, one label.
    type: str
    required: true
  user:
    description: The user that Ansible connects as.
    type: str
    required: true
  password:
    description:
      - The password of the user, which sudo asks for. It is hashed on the control node; the card gets the hash.
      - Ignored with O(password_hash).
    type: str
    default: ""
  password_hash:
    description: The hash of the password as C(openssl passwd -6) makes it.
    type: str
    default: ""
  passwordless_sudo:
    description:
      - Whether sudo asks for no password. Without O(password) and O(password_hash) the password of the user is locked.
      - With V(custom_toml) this is left to the image. Raspberry Pi OS bookworm asks for none.
    type: bool
    default: false
  authorized_keys:
    description: The SSH public keys with which the user may log in. SSH takes no password.
    type: list
    elements: str
    required: true
  wifi:
    description:
      - The network that the Pi joins, besides the wired one.
      - The card gets the computed key, so WPA2 or its transition mode with WPA3 is needed.
    type: dict
    default: {}
    suboptions:
      ssid:
        description: The name of the network.
        type: str
        default: ""
      password:
        description: Its password. Set this or O(wifi.psk).
        type: str
        default: ""
      psk:
        description: The key of 64 hexadecimal digits that C(wpa_passphrase) computes of name and password.
        type: str
        default: ""
      country:
        description: The country by ISO 3166, such as V(GB).
        type: str
        default: ""
      hidden:
        description: Whether the network does not send its name.
        type: bool
        default: false
  locale:
    description: The locale, such as V(en_GB.UTF-8). The image keeps its own without. Not with V(custom_toml).
    type: str
    default: ""
  timezone:
    description: The time zone, such as V(Europe/London). The image keeps its own without.
    type: str
    default: ""
  replace:
    description: Whether to replace documents that neither this module nor the makers of the image wrote.
    type: bool
    default: false
  confirmed_device:
    description: The device, once more. A block device is written to only if it is the same as O(target).
    type: str
    default: ""
  fixed_device:
    description: Whether to write to a block device that is not removable.
    type: bool
    default: false
requirements:
  - mtools, for images and devices (on the control node)
attributes:
  check_mode:
    description: Reads the target and writes nothing.
    support: full
  diff_mode:
    description: Shows the files without their secrets.
    support: full
"""

EXAMPLES = r"""
- name: Write the settings of the first boot into an image
  pifleet.ci.prepare_card:
    target: cards/pi-01.img
    hostname: pi-01
    user: pi
    password: "{{ ansible_become_password }}"
    authorized_keys:
      - "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"
    timezone: Europe/London
"""

RETURN = r"""
format:
  description: What the system on the card reads, V(cloud_init) or V(custom_toml).
  returned: success
  type: str
files:
  description: The files that were written, or would be in check mode.
  returned: success
  type: list
  elements: str
is_device:
  description: Whether the target is a block device.
  returned: success
  type: bool
target:
  description: The target with its full path.
  returned: success
  type: str
"""
