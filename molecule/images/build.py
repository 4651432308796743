# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images there are, and what goes into them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.host import RECIPE_LABEL, ROOT, LabError, docker, say

from .base import base_image

_FOLDER = Path(__file__).parent
_STANDIN = ROOT / "tests" / "runner_standin"
_KEY_TABLE = ROOT / "plugins" / "plugin_utils" / "_config" / "schema.json"
_RUNNER_PACKAGES = ("bash", "busybox-static", "ca-certificates", "dumb-init", "python3")
_HELPER_PACKAGES = ("bash", "busybox-static", "ca-certificates", "git")


def runner_image() -> str:
    """Return the image of GitLab Runner that the tests use, made when it is missing.

    The one that `GITLAB_RUNNER_IMAGE` names, else one around the `gitlab-runner` of this machine's PATH, else one
    around the stand-in. This is the only place that decides it.
    """
    given = os.environ.get("GITLAB_RUNNER_IMAGE")
    if given:
        if not docker("images", "-q", given):
            raise LabError(
                f"GITLAB_RUNNER_IMAGE names {given}, which this machine's engine does not have: pull it first."
            )
        return given
    program = shutil.which("gitlab-runner")
    if program:
        return _runner_image("pifleet/gitlab-runner:local", {"usr/bin/gitlab-runner": Path(program)})
    files = {
        "usr/lib/runner_standin": _STANDIN,
        "usr/lib/runner_standin/config_schema.json": _KEY_TABLE,
        "usr/bin/gitlab-runner": _FOLDER / "runner" / "standin",
    }
    return _runner_image("pifleet/gitlab-runner:standin", files)


def helper_image() -> str | None:
    """Return the helper image that the Docker executor of a real `gitlab-runner` needs, None with the stand-in."""
    program = shutil.which("gitlab-runner-helper")
    if os.environ.get("GITLAB_RUNNER_IMAGE") or not shutil.which("gitlab-runner") or not program:
        return None
    files = {
        "usr/bin/gitlab-runner-helper": Path(program),
        "usr/bin/gitlab-runner-build": _FOLDER / "runner" / "gitlab-runner-build",
    }
    return _build(
        "pifleet/gitlab-runner-helper:local", _FOLDER / "runner" / "helper.Dockerfile", _HELPER_PACKAGES, files
    )


def job_image() -> str:
    """Return the image in which ordinary jobs run: busybox, nothing else."""
    return _build("pifleet/job:busybox", _FOLDER / "job" / "Dockerfile", ("busybox-static",), {})


def docker_job_image() -> str:
    """Return the image of jobs that build images: busybox and a Docker client."""
    return _build("pifleet/job:docker", _FOLDER / "job" / "Dockerfile", ("busybox-static", "docker-cli"), {})


def _runner_image(tag: str, files: Mapping[str, Path]) -> str:
    entrypoint = {"entrypoint": _FOLDER / "runner" / "entrypoint"}
    return _build(tag, _FOLDER / "runner" / "Dockerfile", _RUNNER_PACKAGES, {**files, **entrypoint})


def _build(tag: str, dockerfile: Path, packages: Sequence[str], files: Mapping[str, Path]) -> str:
    """Build an image of Debian packages and of files (path in the image -> file or folder), unless it is up to date."""
    base = base_image(packages)
    with tempfile.TemporaryDirectory(prefix="pifleet-image-") as folder:
        context = Path(folder)
        (context / "root" / "etc").mkdir(parents=True)
        shutil.copy(dockerfile, context / "Dockerfile")
        for name in ("passwd", "group"):
            shutil.copy(_FOLDER / name, context / "root" / "etc")
        for target, source in files.items():
            _copy(source, context / "root" / target)
        recipe = _digest(context, base)
        label = f'{{{{index .Config.Labels "{RECIPE_LABEL}"}}}}'
        if docker("image", "inspect", "-f", label, tag, check=False) != recipe:
            say(f"building {tag}")
            labelled = ["--label", f"{RECIPE_LABEL}={recipe}"]
            docker("build", "-q", "-t", tag, "--build-arg", f"BASE={base}", *labelled, folder)
    return tag


def _copy(source: Path, target: Path) -> None:
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
