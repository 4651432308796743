# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as `POST /jobs/request` returns it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from runner_standin.cache import Cache

_DEFAULT_TIMEOUT = 3600
_BASE_FAILURE_REASONS = ("script_failure", "runner_system_failure", "job_execution_timeout")


class JobFailed(Exception):
    """The job failed; `reason` is one of GitLab's failure reasons (`script_failure`, ...)."""

    def __init__(self, text: str, reason: str, exit_code: int = 0) -> None:
        super().__init__(text)
        self.reason = reason
        self.exit_code = exit_code


def system_failure(text: str) -> JobFailed:
    """A failure of the runner or its environment, not of the job's script."""
    return JobFailed(text, "runner_system_failure")


@dataclasses.dataclass(frozen=True)
class Step:
    name: str
    script: Sequence[str]
    always: bool
    allow_failure: bool


@dataclasses.dataclass(frozen=True)
class Job:
    id: int
    token: str
    project_id: int
    project_path: str
    timeout: float
    image: str
    entrypoint: Sequence[str] | None
    pull_policies: Sequence[str]
    steps: Sequence[Step]
    variables: Mapping[str, str]
    files: Mapping[str, str]  # variables of type file: name -> content
    caches: Sequence[Cache]
    masked: Sequence[str]  # values that the trace must not show
    unsupported: Sequence[str]  # features that the job uses and the stand-in lacks
    failure_reasons: Sequence[str]  # the ones that this GitLab accepts
    concurrent_project_id: int = 0  # the lowest number that no other running job of its runner and project has

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Job:
        info = reply.get("job_info") or {}
        image = reply.get("image") or {}
        variables = reply.get("variables") or []
        return cls(
            id=reply["id"],
            token=reply["token"],
            project_id=info.get("project_id", 0),
            project_path=info.get("project_full_path") or info.get("project_name") or "project",
            timeout=(reply.get("runner_info") or {}).get("timeout") or _DEFAULT_TIMEOUT,
            image=image.get("name") or "",
            entrypoint=image.get("entrypoint"),
            pull_policies=image.get("pull_policy") or (),
            steps=tuple(map(_step, reply.get("steps") or [])),
            variables={v["key"]: v["value"] for v in variables if not v.get("file")},
            files={v["key"]: v["value"] for v in variables if v.get("file")},
            caches=tuple(map(Cache.from_reply, reply.get("cache") or [])),
            masked=tuple(v["value"] for v in variables if v.get("masked") and v["value"]),
            unsupported=tuple(_unsupported(reply)),
            failure_reasons=(reply.get("features") or {}).get("failure_reasons") or (),
        )

    def in_slot(self, number: int) -> Job:
        """The job, which is the one with this number of those that run for its runner and project."""
        variables = {**self.variables, "CI_CONCURRENT_PROJECT_ID": str(number)}
        return dataclasses.replace(self, concurrent_project_id=number, variables=variables)

    def supported_failure_reason(self, reason: str) -> str:
        """The reason itself if this GitLab accepts it, else `unknown_failure`."""
        return reason if reason in (*_BASE_FAILURE_REASONS, *self.failure_reasons) else "unknown_failure"

    def expand(self, text: str) -> str:
        """Replace `$NAME` and `${NAME}` by the job's variables, longest name first."""
        for name in sorted(self.variables, key=len, reverse=True):
            text = text.replace(f"${{{name}}}", self.variables[name]).replace(f"${name}", self.variables[name])
        return text


def _step(step: Mapping[str, Any]) -> Step:
    return Step(
        name=step.get("name", "script"),
        script=tuple(step.get("script") or ()),
        always=step.get("when") == "always",
        allow_failure=bool(step.get("allow_failure")),
    )


def _unsupported(reply: Mapping[str, Any]) -> list[str]:
    strategy = next((v["value"] for v in reply.get("variables") or [] if v["key"] == "GIT_STRATEGY"), "fetch")
    needs_sources = bool((reply.get("git_info") or {}).get("repo_url")) and strategy not in ("none", "empty")
    used = {
        "sources from Git (set GIT_STRATEGY to none)": needs_sources,
        "services": reply.get("services"),
        "artifacts": reply.get("artifacts"),
        "wildcards in a cache, and untracked files": any(map(_has_no_plain_paths, reply.get("cache") or [])),
        "steps (the run keyword)": reply.get("run"),
    }
    return [name for name, value in used.items() if value]


def _has_no_plain_paths(cache: Mapping[str, Any]) -> bool:
    return bool(cache.get("untracked")) or any(set("*?[") & set(path) for path in cache.get("paths") or ())
