# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for GitLab Runner, for machines where the real program or its image cannot be had.

It reads config.toml as strictly as the real one, asks for jobs, runs them with the shell or the Docker executor, and
reports trace and state. It fetches no sources, keeps no caches or artifacts and starts no services: a job that asks
for these fails and says so. Standard library only, Python 3.11 or newer.
"""

from __future__ import annotations

VERSION = "19.3.0"  # the release whose behaviour is followed
REVISION = "standin"
