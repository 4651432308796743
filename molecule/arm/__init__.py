# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole emulated 64-bit ARM machine with the boot of a Raspberry Pi: `make arm`.

The lab's simulated Pis share the kernel of this machine; this one has a kernel, a command line and a reboot of its own.
"""
