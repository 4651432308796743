# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: simulated Raspberry Pis, an image registry and the fake GitLab on this machine's Docker engine."""
