# SPDX-License-Identifier: GPL-3.0-or-later
"""Real plays in unit tests: real ansible-playbook programs of several cores, and a directory that stands for hosts."""
