# SPDX-License-Identifier: GPL-3.0-or-later
"""The caches of a job in an S3 bucket: restored before its script, archived after it. Neither makes a job fail.

An archive is a tar, where GitLab Runner writes a zip. Its helper talks to the server from a container of its own; here
the process does.
"""

from __future__ import annotations

import dataclasses
import datetime
import io
import ssl
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from runner_standin import s3
from runner_standin.config import Runner

_CA_IN_HELPER = "/etc/gitlab-runner/certs/ca.crt"


@dataclasses.dataclass(frozen=True)
class Cache:
    """One entry of `cache` of a job."""

    key: str
    paths: Sequence[str]  # relative to the project's directory, without wildcards
    policy: str  # pull-push, pull or push
    when: str  # on_success, on_failure or always

    @classmethod
    def from_reply(cls, entry: Mapping[str, Any]) -> Cache:
        return cls(
            entry.get("key") or "default",
            tuple(entry.get("paths") or ()),
            entry.get("policy") or "pull-push",
            entry.get("when") or "on_success",
        )


class Files(Protocol):
    """The project's directory, wherever the executor has it."""

    def pack(self, paths: Sequence[str]) -> bytes:
        """A tar of those of the paths that are there, with the names relative to the project's directory."""

    def unpack(self, archive: bytes) -> None:
        """Put the files of a tar of pack() into the project's directory."""


class CacheStore:
    """Where one runner keeps the caches of a project."""

    def __init__(self, runner: Runner, project_id: int, write: Callable[[str], None]) -> None:
        self._settings, self._write = runner.settings.get("cache", {}), write
        self._trust = _trust_of_helper(runner.docker.get("volumes", []))
        namespace = [] if self._settings.get("Shared") else ["runner", runner.short_token]
        self._folder = "/".join([*filter(None, [self._settings.get("Path")]), *namespace, "project", str(project_id)])

    def restore(self, caches: Sequence[Cache], files: Files) -> None:
        for cache in caches:
            if cache.policy == "push":
                continue
            self._write(f"Checking cache for {cache.key}...")
            try:
                archive = s3.get(self._url("GET", cache), self._trust)
            except s3.S3Error as error:
                self._write(f"WARNING: cannot download the cache {cache.key}: {error}")
                continue
            if archive is None:
                self._write(f"No cache {cache.key} at {self._where(cache)}")
                continue
            files.unpack(archive)
            self._write(f"Successfully extracted cache {cache.key}")

    def archive(self, caches: Sequence[Cache], files: Files, succeeded: bool) -> None:
        for cache in caches:
            if cache.policy == "pull" or cache.when not in ("always", "on_success" if succeeded else "on_failure"):
                continue
            self._write(f"Creating cache {cache.key}...")
            try:
                s3.put(self._url("PUT", cache), files.pack(cache.paths), self._trust)
            except s3.S3Error as error:
                self._write(f"WARNING: cannot upload the cache {cache.key}: {error}")
            else:
                self._write(f"Created cache {cache.key} at {self._where(cache)}")

    def _where(self, cache: Cache) -> str:
        return (
            f"{self._settings['s3']['ServerAddress']}/{self._settings['s3']['BucketName']}/{self._folder}/{cache.key}"
        )

    def _url(self, method: str, cache: Cache) -> str:
        now = datetime.datetime.now(datetime.UTC)
        return s3.presigned_url(self._settings["s3"], method, f"{self._folder}/{cache.key}", now)


def _trust_of_helper(volumes: Sequence[str]) -> ssl.SSLContext:
    """The entrypoint of GitLab's helper image trusts a certificate in this place, beside those of the system.

    On a Pi the directory with config.toml has the same path for this process and for the engine.
    """
    trust = ssl.create_default_context()
    for source, target, *_mode in (volume.split(":") for volume in volumes if ":" in volume):
        if target == _CA_IN_HELPER and Path(source).is_file():
            trust.load_verify_locations(source)
    return trust


def moved(archive: bytes, below: str, into: tarfile.TarFile) -> None:
    """Add the members of a tar to another, in a directory `below` its root ("" for the root itself)."""
    prefix = f"{below}/" if below else ""
    with tarfile.open(fileobj=io.BytesIO(archive)) as source:
        for member in source:
            content = source.extractfile(member) if member.isreg() else None
            linked = f"{prefix}{member.linkname}" if member.islnk() else member.linkname
            into.addfile(member.replace(name=f"{prefix}{member.name}", linkname=linked, deep=False), content)
