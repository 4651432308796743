# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a cache that GitLab Runner would read and not use."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.cache import cache_problems
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import merge
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.redaction import redact, redacted_diff
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import validate_settings

KEYS = {"AccessKey": "hush-access", "SecretKey": "hush-secret"}
S3 = {"ServerAddress": "s3.example.com:9000", "BucketName": "cache", **KEYS}


def problems(cache: Any) -> list[str]:
    return cache_problems(validate_settings({}, [{"name": "pi", "cache": cache}]).runners)


@pytest.mark.parametrize(
    "cache",
    [
        {"Type": "s3", "s3": S3},
        {"type": "s3", "S3": {"serveraddress": "s3.example.com", "bucketname": "cache"} | KEYS},
        {"Type": "s3", "s3": S3 | {"SessionToken": "hush-session", "Insecure": True}},
        {"Type": "s3", "s3": {"BucketName": "cache"}},  # the keys are in the environment of GitLab Runner
        {"Type": "s3", "s3": {"BucketName": "cache", "AuthenticationType": "access-key"} | KEYS},
        {"Type": "s3", "s3": {"BucketName": "cache", "AuthenticationType": "iam", "AccessKey": None, "SecretKey": ""}},
        {"Type": "gcs", "gcs": {"BucketName": "cache"}},
        {"Type": "azure", "azure": {"ContainerName": "cache"}},
        {"Shared": True, "Path": "pis"},  # the rest is in the file
        {"Type": None, "s3": None},
        None,
    ],
)
def test_what_is_used_passes(cache: Any) -> None:
    assert problems(cache) == []


@pytest.mark.parametrize(
    ("cache", "sentence"),
    [
        ({"s3": S3}, ".s3 is used by no job: set cache.Type to s3 as well."),
        ({"Type": "s3"}, " is of the type s3 and names no BucketName: set cache.s3.BucketName."),
        (
            {"Type": "s3", "s3": S3 | {"BucketName": ""}},
            " is of the type s3 and names no BucketName: set cache.s3.BucketName.",
        ),
        (
            {"Type": "gcs", "s3": S3},
            " is of the type gcs and names no BucketName: set cache.gcs.BucketName.",
        ),
        (
            {"Type": "azure", "azure": {}},
            " is of the type azure and names no ContainerName: set cache.azure.ContainerName.",
        ),
        (
            {"Type": "s3", "s3": S3 | {"ServerAddress": "https://ci:hush@s3.example.com"}},
            ".s3 has a ServerAddress with a scheme: write host:port, with Insecure: true for a server without TLS.",
        ),
        (
            {"Type": "s3", "s3": S3 | {"SecretKey": None}},
            ".s3 has credentials without SecretKey, which GitLab Runner ignores: give both keys.",
        ),
        (
            {"Type": "s3", "s3": S3 | {"AccessKey": ""}},
            ".s3 has credentials without AccessKey, which GitLab Runner ignores: give both keys.",
        ),
        (
            {"Type": "s3", "s3": {"BucketName": "cache", "SessionToken": "hush-session"}},
            ".s3 has credentials without AccessKey and SecretKey, which GitLab Runner ignores: give both keys.",
        ),
        (
            {"Type": "s3", "s3": {"BucketName": "cache", "AuthenticationType": "access-key"}},
            ".s3 has credentials without AccessKey and SecretKey, which GitLab Runner ignores: give both keys.",
        ),
        (
            {"Type": "s3", "s3": S3 | {"AuthenticationType": "IAM"}},
            ".s3 has the AuthenticationType iam, with which its keys are ignored: leave out one or the other.",
        ),
        (
            {"Type": "s3", "s3": {"BucketName": "cache"} | KEYS},
            ".s3 has keys but no ServerAddress, and GitLab Runner would ignore them: add ServerAddress, "
            "which is s3.amazonaws.com for AWS.",
        ),
    ],
)
def test_what_is_not_used_is_one_sentence(cache: Any, sentence: str) -> None:
    assert problems(cache) == [f"runners[pi].cache{sentence}"]
    assert "hush" not in sentence


def test_the_credentials_of_every_kind_of_cache_are_secret() -> None:
    secrets = {
        "s3": {"AccessKey": "hush-1", "SecretKey": "hush-2", "SessionToken": "hush-3"},
        "gcs": {"PrivateKey": "hush-4"},
        "azure": {"AccountKey": "hush-5"},
    }
    text = merge("", settings={}, runners=[{"name": "pi", "cache": secrets}], append_missing=True)
    later = text.replace("hush-2", "hush-6")
    assert text.count("hush") == 5
    assert "hush" not in redact(text)
    shown = redacted_diff(text, later, "config.toml")
    assert "hush" not in str(shown)
    assert 'SecretKey = "******** (changed)"' in shown["after"]
    assert 'AccessKey = "********"' in shown["after"]
