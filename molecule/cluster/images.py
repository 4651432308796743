# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that a cluster starts with: no registry has to be asked, and nothing is pulled."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from images.assembled import Image, docker_archive, image, of_layer
from images.build import helper_recipe, job_recipe, own_runner_recipe

from .components import PAUSE_IMAGE

RUNNER = "localhost/gitlab-runner:cluster"
HELPER = "localhost/gitlab-runner-helper:cluster"
JOB = "localhost/job:cluster"


def references() -> dict[str, str]:
    """The images that are for users, by what they are. Without a real GitLab Runner on PATH there is no helper."""
    return {"runner": RUNNER, "job": JOB, **({"helper": HELPER} if helper_recipe() else {})}


def write_archives(folder: Path, pause: Path | None) -> list[Path]:
    """Write the images into the folder, as `docker save` does, and return the files. Raises LabError.

    pause: the program of the image that holds pods, for a node that has none yet.
    """
    written = []
    for reference, content in _images(pause):
        path = folder / f"{reference.rsplit('/', 1)[1].replace(':', '-')}.tar"
        path.write_bytes(docker_archive(content, reference))
        written.append(path)
    return written


def _images(pause: Path | None) -> Iterator[tuple[str, Image]]:
    if pause:
        yield PAUSE_IMAGE, of_layer(program_layer(pause), {"Entrypoint": [f"/{pause.name}"]})
    yield RUNNER, image(own_runner_recipe())
    yield JOB, image(job_recipe())
    helper = helper_recipe()
    if helper:
        yield HELPER, image(helper)


def program_layer(program: Path) -> bytes:
    """A file system of one static program, as a compressed tarball that is the same for the same program."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo(program.name)
        member.size, member.mode = program.stat().st_size, 0o755
        with program.open("rb") as file:
            archive.addfile(member, file)
    return gzip.compress(content.getvalue(), mtime=0)
