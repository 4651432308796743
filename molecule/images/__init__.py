# SPDX-License-Identifier: GPL-3.0-or-later
"""The container images of GitLab Runner and of jobs, built from Debian packages without a registry.

`PYTHONPATH=molecule python -m images` builds them and prints the tag of the image of GitLab Runner that the tests use.
"""

from __future__ import annotations

from .build import (
    docker_in_docker_image,
    docker_job_image,
    git_job_image,
    helper_image,
    job_image,
    runner_image,
    s3_server_image,
)

__all__ = [
    "docker_in_docker_image",
    "docker_job_image",
    "git_job_image",
    "helper_image",
    "job_image",
    "runner_image",
    "s3_server_image",
]
