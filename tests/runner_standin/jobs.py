# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as `POST /jobs/request` returns it."""

from __future__ import annotations

import dataclasses
import re
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
class Git:
    """Which sources a job has."""

    url: str
    sha: str
    refspecs: Sequence[str]
    depth: int


@dataclasses.dataclass(frozen=True)
class Service:
    """A service of a job, or of the runner for each of its jobs."""

    image: str
    alias: str  # names of its own, separated by commas or spaces
    command: Sequence[str]
    entrypoint: Sequence[str]
    variables: Mapping[str, str]

    @classmethod
    def from_reply(cls, service: Mapping[str, Any]) -> Service:
        variables = {v["key"]: v["value"] for v in service.get("variables") or []}
        command, entrypoint = service.get("command") or (), service.get("entrypoint") or ()
        return cls(service["name"], service.get("alias") or "", command, entrypoint, variables)

    @classmethod
    def from_settings(cls, service: Mapping[str, Any]) -> Service:
        """service: an entry of [[runners.docker.services]]."""
        variables = {name: value for name, _, value in (v.partition("=") for v in service.get("environment", []))}
        command, entrypoint = service.get("command", ()), service.get("entrypoint", ())
        return cls(service["name"], service.get("alias", ""), command, entrypoint, variables)

    def aliases(self, image: str) -> list[str]:
        """By which names a job reaches it: those of its image without port and tag, and its own."""
        name = re.sub(r"^([^/]+):\d+/", r"\1/", image)
        name = re.sub(r"(@.*|:[^/]*)$", "", name)
        names = [name.replace("/", "__"), name.replace("/", "-"), *self.alias.replace(",", " ").split()]
        return list(dict.fromkeys(names))


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
    services: Sequence[Service]
    git: Git | None
    """None with GIT_STRATEGY none or empty."""
    steps: Sequence[Step]
    variables: Mapping[str, str]
    public_variables: Mapping[str, str]
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
            services=tuple(map(Service.from_reply, reply.get("services") or [])),
            git=_git(reply),
            steps=tuple(map(_step, reply.get("steps") or [])),
            variables={v["key"]: v["value"] for v in variables if not v.get("file")},
            public_variables={v["key"]: v["value"] for v in variables if v.get("public") and not v.get("file")},
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


def _git(reply: Mapping[str, Any]) -> Git | None:
    strategy = {v["key"]: v["value"] for v in reply.get("variables") or []}.get("GIT_STRATEGY", "fetch")
    info = reply.get("git_info") or {}
    if not info.get("repo_url") or strategy in ("none", "empty"):
        return None
    return Git(info["repo_url"], info["sha"], info.get("refspecs") or (), info.get("depth") or 0)


def _unsupported(reply: Mapping[str, Any]) -> list[str]:
    used = {
        "artifacts": reply.get("artifacts"),
        "wildcards in a cache, and untracked files": any(map(_has_no_plain_paths, reply.get("cache") or [])),
        "steps (the run keyword)": reply.get("run"),
    }
    return [name for name, value in used.items() if value]


def _has_no_plain_paths(cache: Mapping[str, Any]) -> bool:
    return bool(cache.get("untracked")) or any(set("*?[") & set(path) for path in cache.get("paths") or ())
