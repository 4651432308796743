# SPDX-License-Identifier: GPL-3.0-or-later
"""config.toml as loaded by the process: validated, with GitLab Runner's defaults."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner_standin import decode, durations

NEVER = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)  # Go's zero time: no date

_DEFAULT_CHECK_INTERVAL = 3.0
_DEFAULT_SHUTDOWN_TIMEOUT = 30.0
_LABEL_KEY = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{2,64}")
_LABEL_VALUE = re.compile(r"[a-zA-Z0-9._-]{1,256}")
_MAX_LABELS = 32
_TOKEN_PREFIXES = re.compile(r"^(glrt-(t[123]_)?|t[123]_|glrtr-|glcbt-|GR[0-9A-Fa-f]{7})")
_SHORT_TOKEN_LENGTH = 9


class ConfigError(Exception):
    """GitLab Runner would not load the file; the message says why."""


@dataclasses.dataclass(frozen=True)
class Runner:
    """One `[[runners]]` entry; `settings` is the whole entry with canonical keys."""

    settings: Mapping[str, Any]
    directory: Path

    @property
    def name(self) -> str:
        return self.settings.get("name", "")

    @property
    def url(self) -> str:
        return _expand_environment(self.settings.get("url", ""))

    @property
    def token(self) -> str:
        return _expand_environment(self.settings.get("token", "")).strip()

    @property
    def short_token(self) -> str:
        """The part of the token that is logged (GitLab Runner: `ShortDescription`)."""
        return _TOKEN_PREFIXES.sub("", self.token)[:_SHORT_TOKEN_LENGTH]

    @property
    def executor(self) -> str:
        return self.settings.get("executor", "")

    @property
    def limit(self) -> int:
        return self.settings.get("limit", 0)

    @property
    def unhealthy_requests_limit(self) -> int:
        return self.settings.get("unhealthy_requests_limit", 0) or 3

    @property
    def unhealthy_interval(self) -> float:
        return durations.seconds(self.settings.get("unhealthy_interval", 0)) or 3600.0

    @property
    def docker(self) -> Mapping[str, Any]:
        return self.settings.get("docker", {})

    @property
    def environment(self) -> dict[str, str]:
        pairs = (pair.partition("=") for pair in self.settings.get("environment", []))
        return {name: value for name, _, value in pairs}

    @property
    def rotates_token(self) -> bool:
        return not self.settings.get("feature_flags", {}).get("FF_DISABLE_AUTOMATIC_TOKEN_ROTATION", False)

    def date(self, key: str) -> datetime.datetime:
        """A date of the entry, timezone-aware; `NEVER` if absent."""
        value = self.settings.get(key, NEVER)
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(value)
        return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)


@dataclasses.dataclass(frozen=True)
class Config:
    document: Mapping[str, Any]  # with canonical keys, as `encode.save` writes it
    unknown: Sequence[str]
    modified_ns: int
    runners: Sequence[Runner]

    @property
    def concurrent(self) -> int:
        return self.document.get("concurrent", 1)

    @property
    def check_interval(self) -> float:
        """Seconds between two requests for a job of each entry."""
        interval = self.document.get("check_interval", 0)
        return float(interval) if interval > 0 else _DEFAULT_CHECK_INTERVAL

    @property
    def shutdown_timeout(self) -> float:
        timeout = self.document.get("shutdown_timeout", 0)
        return float(timeout) if timeout > 0 else _DEFAULT_SHUTDOWN_TIMEOUT


def load(path: Path) -> Config:
    """Load a file as GitLab Runner does; a missing file is an empty configuration. Raises ConfigError."""
    try:
        modified_ns = path.stat().st_mtime_ns
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return Config({}, (), 0, ())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(error)) from error
    try:
        document, unknown = decode.decode(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, decode.TypeMismatch) as error:
        raise ConfigError(f"decoding configuration file: {error}") from error
    runners = tuple(Runner(entry, path.parent) for entry in document.get("runners", []))
    _check_labels("global labels", document.get("labels", {}))
    for runner in runners:
        labels = document.get("labels", {}) | runner.settings.get("labels", {})
        _check_labels(f"labels of runner {runner.name}", labels)
        _check_machine_options(runner)
    return Config(document, unknown, modified_ns, runners)


def _check_labels(what: str, labels: Mapping[str, str]) -> None:
    if len(labels) > _MAX_LABELS:
        raise ConfigError(f"{what}: {len(labels)} labels, at most {_MAX_LABELS} are allowed")
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise ConfigError(f"{what}: {key}={value} is not a valid label")


def _check_machine_options(runner: Runner) -> None:
    for option in runner.settings.get("machine", {}).get("MachineOptionsWithName", []):
        if "%s" not in option:
            raise ConfigError(f"runner {runner.name}: MachineOptionsWithName {option!r} has no %s")


def _expand_environment(text: str) -> str:
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: os.environ.get(match[1] or match[2], ""), text)
