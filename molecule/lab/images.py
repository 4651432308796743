# SPDX-License-Identifier: GPL-3.0-or-later
"""The images in a lab's registry: GitLab Runner and the job images."""

from __future__ import annotations

from dataclasses import dataclass

from images import docker_job_image, helper_image, job_image, runner_image


@dataclass(frozen=True)
class LabImage:
    """An image: tag in this machine's engine, name in the lab's registry, inventory variable that refers to it."""

    tag: str
    name: str
    variable: str


def lab_images() -> list[LabImage]:
    """Return the images of the lab, built if missing."""
    images = [
        LabImage(runner_image(), "gitlab-runner:lab", "gitlab_runner_image"),
        LabImage(job_image(), "job:busybox", "lab_job_image"),
        LabImage(docker_job_image(), "job:docker", "lab_docker_job_image"),
    ]
    helper = helper_image()
    if helper:
        images.append(LabImage(helper, "gitlab-runner-helper:lab", "lab_helper_image"))
    return images
