# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for GitLab Runner, for machines that have neither the real program nor its image.

It reads config.toml as strictly as GitLab Runner, requests jobs, runs them with the shell or the Docker executor, and
reports trace and state. Git sources, caches that are not in an S3 bucket, artifacts and services are not implemented:
a job that needs one fails with a message that names it. Standard library only, Python 3.11 or newer.
"""

from __future__ import annotations

VERSION = "19.3.0"  # the release whose behaviour is reproduced
REVISION = "standin"
