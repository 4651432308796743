# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a distributed cache GitLab Runner takes without a word and then does not use.

With such settings it starts, runs jobs, and writes one line into its own log for each cache that it leaves out. What is
wrong is in how the keys fit together: https://docs.gitlab.com/runner/configuration/advanced-configuration/#the-runnerscache-section
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BUCKETS = {"s3": "BucketName", "gcs": "BucketName", "azure": "ContainerName"}
"""The key without which a type has no place for its archives."""
KEYS = ("AccessKey", "SecretKey")


def cache_problems(runners: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence for each reason why a declared cache would not be used; no secret is in it.

    runners: as validate_settings() returns them. A cache without `Type` and without one of its tables says nothing of
    where it is, and is left alone: the rest of it stands in the file.
    """
    return [
        f"runners[{runner['name']}].cache{problem}."
        for runner in runners
        for problem in _problems(_given(runner.get("cache")))
    ]


def _given(table: Any) -> dict[str, Any]:
    """The table without what is empty, or None, which means "remove this key"."""
    return {key: value for key, value in table.items() if value not in (None, "")} if isinstance(table, Mapping) else {}


def _problems(cache: Mapping[str, Any]) -> Iterator[str]:
    kind = cache.get("Type", "")
    tables = [name for name in BUCKETS if name in cache]
    if not kind and tables:
        yield f".{tables[0]} is used by no job: set cache.Type to {tables[0]} as well"
    if kind in BUCKETS and BUCKETS[kind] not in _given(cache.get(kind)):
        yield f" is of the type {kind} and names no {BUCKETS[kind]}: set cache.{kind}.{BUCKETS[kind]}"
    s3 = _given(cache.get("s3"))
    for problem in _s3_problems(s3):
        yield f".s3 {problem}"


def _s3_problems(s3: Mapping[str, Any]) -> Iterator[str]:
    if "://" in str(s3.get("ServerAddress", "")):
        yield "has a ServerAddress with a scheme: write host:port, with Insecure: true for a server without TLS"
    missing = [key for key in KEYS if key not in s3]
    authentication = str(s3.get("AuthenticationType", "")).lower()
    if authentication == "iam":
        if len(missing) < len(KEYS):
            yield "has the AuthenticationType iam, with which its keys are ignored: leave out one or the other"
    elif missing and (authentication or "SessionToken" in s3 or len(missing) < len(KEYS)):
        yield f"has credentials without {' and '.join(missing)}, which GitLab Runner ignores: give both keys"
    elif not missing and not authentication and "ServerAddress" not in s3:
        yield (
            "has keys but no ServerAddress, and GitLab Runner would ignore them: add ServerAddress, "
            "which is s3.amazonaws.com for AWS"
        )
