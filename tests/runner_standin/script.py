# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a step of a job as a shell script."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runner_standin.jobs import Job, Step

_BOLD_GREEN, _PLAIN = "\x1b[32;1m", "\x1b[0;m"


def render(job: Job, step: Step, directory: str) -> str:
    """Return a script for any POSIX shell; it exits at the first command that fails."""
    return "\n".join(_lines(job, step, directory)) + "\n"


def _lines(job: Job, step: Step, directory: str) -> Iterator[str]:
    yield "set -e"
    yield "if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi"
    yield f"mkdir -p {shlex.quote(directory)} {shlex.quote(directory + '.tmp')}"
    for name, content in job.files.items():
        path = shlex.quote(f"{directory}.tmp/{name}")
        yield f"printf %s {shlex.quote(content)} > {path}"
        yield f"export {name}={path}"
    yield f"cd {shlex.quote(directory)}"
    for command in step.script:
        yield f"printf '%s\\n' {shlex.quote(_BOLD_GREEN + '$ ' + _title(command) + _PLAIN)}"
        yield command


def _title(command: str) -> str:
    first, newline, _ = command.partition("\n")
    return f"{first} # collapsed multi-line command" if newline else first
