# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that the Pis of a lab pull: GitLab Runner and what jobs run in."""

from __future__ import annotations

from dataclasses import dataclass

from images import docker_job_image, helper_image, job_image, runner_image


@dataclass(frozen=True)
class LabImage:
    """An image: its tag in this machine's engine, its name in the registry, its variable in the inventory."""

    tag: str
    name: str
    variable: str


def lab_images() -> list[LabImage]:
    """Return the images of the lab, made where they are missing."""
    images = [
        LabImage(runner_image(), "gitlab-runner:lab", "gitlab_runner_image"),
        LabImage(job_image(), "job:busybox", "lab_job_image"),
        LabImage(docker_job_image(), "job:docker", "lab_docker_job_image"),
    ]
    helper = helper_image()
    if helper:
        images.append(LabImage(helper, "gitlab-runner-helper:lab", "lab_helper_image"))
    return images
