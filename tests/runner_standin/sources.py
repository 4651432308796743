# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of a job, fetched with the git of its image. GitLab Runner has a git of its own, in its helper image."""

from __future__ import annotations

import posixpath
import shlex
import urllib.parse

from runner_standin.config import Runner
from runner_standin.jobs import Job, Step


def get_sources(job: Job, runner: Runner) -> Step:
    """The step before the others, of a job that has sources."""
    return Step("get_sources", tuple(_script(job, runner)), always=False, allow_failure=False)


def _script(job: Job, runner: Runner) -> list[str]:
    assert job.git is not None
    url = remote_url(job, runner)
    with_token = url._replace(netloc=f"gitlab-ci-token:{job.token}@{url.netloc}")
    # So that the token stays out of .git/config.
    token = f"url.{with_token.geturl()}.insteadOf={url.geturl()}"
    depth = [f"--depth={job.git.depth}"] if job.git.depth else []
    commands = [
        ["git", "init", "--quiet", "."],
        ["git", "remote", "add", "origin", url.geturl()],
        ["git", "-c", token, "fetch", "--quiet", *depth, "origin", *job.git.refspecs],
        ["git", "checkout", "--quiet", "--force", job.git.sha],
    ]
    return [shlex.join(command) for command in commands]


def remote_url(job: Job, runner: Runner) -> urllib.parse.SplitResult:
    """Where the sources are: as GitLab says, or in the same path below `clone_url`, which must have a scheme."""
    assert job.git is not None
    url = urllib.parse.urlsplit(runner.settings.get("clone_url", ""))
    if not url.scheme:
        url = urllib.parse.urlsplit(job.git.url)
        return url._replace(netloc=url.netloc.rpartition("@")[2])
    return url._replace(path=posixpath.join("/", url.path.strip("/"), f"{job.project_path}.git"))
