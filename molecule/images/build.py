# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of GitLab Runner, its helper, and jobs: their packages and files."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.host import RECIPE_LABEL, ROOT, LabError, docker, say

from .base import base_image

_DIRECTORY = Path(__file__).parent
_STANDIN = ROOT / "tests" / "runner_standin"
_CONFIG_SCHEMA = ROOT / "plugins" / "plugin_utils" / "_config" / "schema.json"
_RUNNER_PACKAGES = ("bash", "busybox-static", "ca-certificates", "dumb-init", "procps", "python3")
_HELPER_PACKAGES = ("bash", "busybox-static", "ca-certificates", "git")
_DIND_PACKAGES = ("busybox-static", "ca-certificates", "containerd", "docker.io", "iptables", "openssl", "runc")
_BUILDAH_PACKAGES = ("buildah", "busybox-static", "ca-certificates", "libcap2-bin", "netavark", "uidmap")
_DIND_SBIN = ("docker-proxy", "dockerd", "iptables-nft", "runc", "xtables-nft-multi")


@dataclass(frozen=True)
class Recipe:
    """What an image is built of."""

    tag: str
    dockerfile: Path
    packages: tuple[str, ...]
    """From Debian."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Path in the image -> file or directory."""
    sbin: tuple[str, ...] = ()
    """Which programs of /usr/sbin it has."""


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
    return _build(own_runner_recipe())


def own_runner_recipe() -> Recipe:
    """The image of GitLab Runner with the `gitlab-runner` on PATH, else with the stand-in."""
    return runner_recipe("local" if shutil.which("gitlab-runner") else "standin", runner_files())


def runner_recipe(kind: str, files: Mapping[str, Path]) -> Recipe:
    """The image of GitLab Runner with these files."""
    dockerfile = _DIRECTORY / "runner" / "Dockerfile"
    entrypoint = {"entrypoint": _DIRECTORY / "runner" / "entrypoint"}
    return Recipe(f"pifleet/gitlab-runner:{kind}", dockerfile, _RUNNER_PACKAGES, {**files, **entrypoint})


def runner_files() -> dict[str, Path]:
    """The files of GitLab Runner by their path below the root: those of the program on PATH, else of the stand-in."""
    program = shutil.which("gitlab-runner")
    return {"usr/bin/gitlab-runner": Path(program)} if program else standin_files()


def standin_files() -> dict[str, Path]:
    """The files of the stand-in by their path below the root, for every architecture."""
    return {
        "usr/lib/runner_standin": _STANDIN,
        "usr/lib/runner_standin/config_schema.json": _CONFIG_SCHEMA,
        "usr/bin/gitlab-runner": _DIRECTORY / "runner" / "standin",
    }


def helper_image() -> str | None:
    """Return the helper image that the Docker executor of the real `gitlab-runner` needs, None with the stand-in."""
    recipe = None if os.environ.get("GITLAB_RUNNER_IMAGE") else helper_recipe()
    return _build(recipe) if recipe else None


def helper_recipe() -> Recipe | None:
    """The helper image that executors of the `gitlab-runner` on PATH need, None without it."""
    program = shutil.which("gitlab-runner-helper")
    if not shutil.which("gitlab-runner") or not program:
        return None
    files = {
        "usr/bin/gitlab-runner-helper": Path(program),
        "usr/bin/gitlab-runner-build": _DIRECTORY / "runner" / "gitlab-runner-build",
        "entrypoint": _DIRECTORY / "runner" / "helper-entrypoint",
    }
    dockerfile = _DIRECTORY / "runner" / "helper.Dockerfile"
    return Recipe("pifleet/gitlab-runner-helper:local", dockerfile, _HELPER_PACKAGES, files)


def job_image() -> str:
    """Return the image of ordinary jobs: busybox."""
    return _build(job_recipe())


def job_recipe() -> Recipe:
    """The image of ordinary jobs."""
    return Recipe("pifleet/job:busybox", _DIRECTORY / "job" / "Dockerfile", ("busybox-static",))


def docker_job_image() -> str:
    """Return the image of jobs that build images: busybox and the Docker CLI."""
    return _build(docker_job_recipe())


def docker_job_recipe() -> Recipe:
    """The image of jobs that build images."""
    return Recipe("pifleet/job:docker", _DIRECTORY / "job" / "Dockerfile", ("busybox-static", "docker-cli"))


def git_job_image() -> str:
    """Return the image of jobs that use Git: busybox and git."""
    dockerfile = _DIRECTORY / "job" / "Dockerfile"
    return _build(Recipe("pifleet/job:git", dockerfile, ("busybox-static", "ca-certificates", "git")))


def s3_server_image(program: Path) -> str:
    """Return an image with this program of SeaweedFS where its own image has it. Raises LabError."""
    dockerfile = _DIRECTORY / "job" / "Dockerfile"
    return _build(Recipe("pifleet/seaweedfs:lab", dockerfile, ("busybox-static",), {"usr/bin/weed": program}))


def docker_in_docker_image() -> str:
    """Return the image of the service docker:dind: a Docker engine of Debian's packages."""
    return _build(docker_in_docker_recipe())


def docker_in_docker_recipe() -> Recipe:
    """The image of the service docker:dind."""
    files = {"usr/bin/dind": _DIRECTORY / "dind" / "dind"}
    return Recipe("pifleet/docker:dind", _DIRECTORY / "dind" / "Dockerfile", _DIND_PACKAGES, files, _DIND_SBIN)


def buildah_recipe() -> Recipe:
    """The image of jobs that build images without root: buildah of Debian's packages."""
    folder = _DIRECTORY / "buildah"
    files = {f"etc/{name}": folder / name for name in ("passwd", "subuid", "subgid")}
    return Recipe("pifleet/buildah:stable", folder / "Dockerfile", _BUILDAH_PACKAGES, files, ("setcap",))


def _build(recipe: Recipe) -> str:
    """Build an image unless it is up to date, and return its tag."""
    base = base_image(recipe.packages, recipe.sbin)
    with tempfile.TemporaryDirectory(prefix="pifleet-image-") as folder:
        write_context(recipe, Path(folder))
        current = digest(Path(folder), base)
        label = f'{{{{index .Config.Labels "{RECIPE_LABEL}"}}}}'
        if docker("image", "inspect", "-f", label, recipe.tag, check=False) != current:
            say(f"building {recipe.tag}")
            labelled = ["--label", f"{RECIPE_LABEL}={current}"]
            docker("build", "-q", "-t", recipe.tag, "--build-arg", f"BASE={base}", *labelled, folder)
    return recipe.tag


def write_context(recipe: Recipe, context: Path) -> None:
    """Write the Dockerfile, and the files that it copies, into the directory."""
    (context / "root" / "etc").mkdir(parents=True)
    shutil.copy(recipe.dockerfile, context / "Dockerfile")
    for name in ("passwd", "group"):
        shutil.copy(_DIRECTORY / name, context / "root" / "etc")
    for target, source in recipe.files.items():
        copy(source, context / "root" / target)


def copy(source: Path, target: Path) -> None:
    """Copy a file, or the files of a directory into another."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def digest(context: Path, base: str) -> str:
    """Return a digest of the base image's name and of all files in the directory, with their modes."""
    result = hashlib.sha256(base.encode())
    for path in sorted(path for path in context.rglob("*") if path.is_file()):
        result.update(f"\0{path.relative_to(context)}\0{path.stat().st_mode:o}\0".encode())
        result.update(path.read_bytes())
    return result.hexdigest()
