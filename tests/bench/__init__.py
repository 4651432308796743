# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds, which no test looks at."""
