# SPDX-License-Identifier: GPL-3.0-or-later
"""A load of jobs on a lab's fleet, what disturbs it, and how many jobs are lost by that: see README.md."""
