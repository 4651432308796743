# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of a job and of its services: which are allowed, and how the engine gets them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runner_standin.engine import Engine, EngineError
from runner_standin.registry_auth import registry_auth

_WILDCARDS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


def matches(image: str, patterns: Sequence[str]) -> bool:
    """Whether the image matches one of the patterns, in which ``*`` does not cross a slash and ``**`` does."""
    return any(re.fullmatch(_regexp(pattern), image) for pattern in patterns)


def _regexp(pattern: str) -> str:
    return "".join(_WILDCARDS.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*|\?)", pattern))


def obtain_image(engine: Engine, image: str, policies: Sequence[str], variables: Mapping[str, str]) -> None:
    """Pull an image as the first of the pull policies that works says. Raises EngineError with why each has failed.

    variables: of the job, among which may be DOCKER_AUTH_CONFIG.
    """
    failures = []
    for policy in policies:
        present = engine.has_image(image)
        if policy == "never" or (policy == "if-not-present" and present):
            if present:
                return
            failures.append(f"{image} is not present and the pull policy is {policy}")
            continue
        try:
            engine.pull(image, registry_auth(image, variables.get("DOCKER_AUTH_CONFIG", "")))
            return
        except EngineError as error:
            failures.append(f"failed to pull image {image} with policy {policy}: {error}")
    raise EngineError("; ".join(failures))
