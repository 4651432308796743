# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes config.toml as GitLab Runner does after a token rotation: in place, from the decoded document.

As with GitLab Runner, comments, order, unknown keys and references to the environment are lost, and defaults are added.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner_standin.config import NEVER

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {  # written with their table even if unset
    "": {
        "concurrent": 1,
        "check_interval": 0,
        "connection_max_age": "15m0s",
        "shutdown_timeout": 0,
        "session_server": {"session_timeout": 1800},
    },
    "runners": {
        "name": "",
        "url": "",
        "id": 0,
        "token": "",
        "token_obtained_at": NEVER,
        "token_expires_at": NEVER,
        "executor": "",
    },
    "runners.docker": {
        "tls_verify": False,
        "image": "",
        "privileged": False,
        "disable_entrypoint_overwrite": False,
        "oom_kill_disable": False,
        "disable_cache": False,
        "volume_keep": False,
        "shm_size": 0,
        "network_mtu": 0,
    },
}


def save(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the content of an existing file, keeping its owner and mode."""
    path.write_text("\n".join(_lines(document, "")) + "\n", encoding="utf-8")


def _lines(table: Mapping[str, Any], path: str) -> Iterator[str]:
    table = {**_DEFAULTS.get(path, {}), **table}
    indent = "  " * path.count(".") + ("  " if path else "")
    for key, value in table.items():
        if not _is_table(value):
            yield f"{indent}{_key(key)} = {_scalar(_as_array(path, key, value))}"
    for key, value in table.items():
        if _is_table(value):
            where = f"{path}.{key}" if path else key
            brackets = "[[{}]]" if isinstance(value, list) else "[{}]"
            for row in value if isinstance(value, list) else [value]:
                yield ""
                yield indent + brackets.format(".".join(map(_key, where.split("."))))
                yield from _lines(row, where)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(row, dict) for row in value))


def _as_array(path: str, key: str, value: Any) -> Any:
    """`pull_policy`, which may be a string or an array, is always written as an array."""
    return [value] if key == "pull_policy" and path.startswith("runners.") and isinstance(value, str) else value


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)


def _scalar(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return "[" + ", ".join(map(_scalar, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_scalar(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
