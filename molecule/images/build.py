# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of GitLab Runner, its helper, and jobs: their packages and files."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.host import RECIPE_LABEL, ROOT, LabError, docker, say

from .base import base_image

_DIRECTORY = Path(__file__).parent
_STANDIN = ROOT / "tests" / "runner_standin"
_CONFIG_SCHEMA = ROOT / "plugins" / "plugin_utils" / "_config" / "schema.json"
_RUNNER_PACKAGES = ("bash", "busybox-static", "ca-certificates", "dumb-init", "python3")
_HELPER_PACKAGES = ("bash", "busybox-static", "ca-certificates", "git")


def runner_image() -> str:
    """Return the tag of the image of GitLab Runner that the tests use, built if missing.

    The image that `GITLAB_RUNNER_IMAGE` names, else one with the `gitlab-runner` on this machine's PATH, else one with
    the stand-in. Raises LabError if the engine does not have the named image.
    """
    image = os.environ.get("GITLAB_RUNNER_IMAGE")
    if image:
        if not docker("images", "-q", image):
            raise LabError(
                f"GITLAB_RUNNER_IMAGE is {image}, which this machine's Docker engine does not have: pull it first."
            )
        return image
    kind = "local" if shutil.which("gitlab-runner") else "standin"
    return _runner_image(f"pifleet/gitlab-runner:{kind}", runner_files())


def runner_files() -> dict[str, Path]:
    """The files of GitLab Runner by their path below the root: those of the program on PATH, else of the stand-in."""
    program = shutil.which("gitlab-runner")
    if program:
        return {"usr/bin/gitlab-runner": Path(program)}
    return {
        "usr/lib/runner_standin": _STANDIN,
        "usr/lib/runner_standin/config_schema.json": _CONFIG_SCHEMA,
        "usr/bin/gitlab-runner": _DIRECTORY / "runner" / "standin",
    }


def helper_image() -> str | None:
    """Return the helper image that the Docker executor of the real `gitlab-runner` needs, None with the stand-in."""
    program = shutil.which("gitlab-runner-helper")
    if os.environ.get("GITLAB_RUNNER_IMAGE") or not shutil.which("gitlab-runner") or not program:
        return None
    files = {
        "usr/bin/gitlab-runner-helper": Path(program),
        "usr/bin/gitlab-runner-build": _DIRECTORY / "runner" / "gitlab-runner-build",
    }
    return _build(
        "pifleet/gitlab-runner-helper:local", _DIRECTORY / "runner" / "helper.Dockerfile", _HELPER_PACKAGES, files
    )


def job_image() -> str:
    """Return the image of ordinary jobs: busybox."""
    return _build("pifleet/job:busybox", _DIRECTORY / "job" / "Dockerfile", ("busybox-static",), {})


def docker_job_image() -> str:
    """Return the image of jobs that build images: busybox and the Docker CLI."""
    return _build("pifleet/job:docker", _DIRECTORY / "job" / "Dockerfile", ("busybox-static", "docker-cli"), {})


def _runner_image(tag: str, files: Mapping[str, Path]) -> str:
    entrypoint = {"entrypoint": _DIRECTORY / "runner" / "entrypoint"}
    return _build(tag, _DIRECTORY / "runner" / "Dockerfile", _RUNNER_PACKAGES, {**files, **entrypoint})


def _build(tag: str, dockerfile: Path, packages: Sequence[str], files: Mapping[str, Path]) -> str:
    """Build an image of Debian packages and files (path in the image -> file or directory) unless up to date."""
    base = base_image(packages)
    with tempfile.TemporaryDirectory(prefix="pifleet-image-") as folder:
        context = Path(folder)
        (context / "root" / "etc").mkdir(parents=True)
        shutil.copy(dockerfile, context / "Dockerfile")
        for name in ("passwd", "group"):
            shutil.copy(_DIRECTORY / name, context / "root" / "etc")
        for target, source in files.items():
            copy(source, context / "root" / target)
        recipe = _digest(context, base)
        label = f'{{{{index .Config.Labels "{RECIPE_LABEL}"}}}}'
        if docker("image", "inspect", "-f", label, tag, check=False) != recipe:
            say(f"building {tag}")
            labelled = ["--label", f"{RECIPE_LABEL}={recipe}"]
            docker("build", "-q", "-t", tag, "--build-arg", f"BASE={base}", *labelled, folder)
    return tag


def copy(source: Path, target: Path) -> None:
    """Copy a file, or the files of a directory into another."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def _digest(context: Path, base: str) -> str:
    digest = hashlib.sha256(base.encode())
    for path in sorted(path for path in context.rglob("*") if path.is_file()):
        digest.update(f"\0{path.relative_to(context)}\0{path.stat().st_mode:o}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
