# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of every key that GitLab Runner's config.toml knows, and what can be asked of it.

``_config/schema.json`` is written by scripts/import_config_schema.py from the structure tags of one GitLab Runner
release. Paths are dotted and do not index arrays: ``runners.docker.image``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FREE_PREFIX = "table<string,"


@dataclass(frozen=True)
class Key:
    """One key. type: string, integer, bool, float, duration, datetime, string_or_array, array<...>, table,
    table<string,...> (keys are free), array_of_tables."""

    path: str
    type: str
    since: str = ""
    default: Any = None
    enum: tuple[str, ...] = ()
    enum_items: tuple[str, ...] = ()
    min: int | str | None = None
    min_length: int = 0
    max_items: int | None = None
    allowed_keys: tuple[str, ...] = ()
    any_case: bool = False  # enum is compared without regard to case
    contains: str = ""
    format: str = ""  # periods (of the cron kind), timezone, regexp or git_url
    key_pattern: str = ""
    value_pattern: str = ""
    unit: str = ""
    required: bool = False
    secret: bool = False
    free_form: bool = False  # people put secrets into it
    nullable: bool = False  # absent is not the same as zero or empty
    restart: bool = False  # a change takes effect only when gitlab-runner is restarted
    managed: bool = False  # written by gitlab-runner itself
    deprecated: str = ""
    no_effect: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def parent(self) -> str:
        return self.path.rpartition(".")[0]

    @property
    def is_table(self) -> bool:
        return self.type in ("table", "array_of_tables")

    @property
    def is_free_table(self) -> bool:
        return self.type.startswith(FREE_PREFIX)

    @property
    def item_type(self) -> str:
        """The type of the elements of array<...>, and of the values of table<string,...>."""
        return self.type.partition("<")[2].removesuffix(">").removeprefix("string,")


@dataclass(frozen=True)
class Schema:
    release: str
    keys: Mapping[str, Key]
    removed: Mapping[str, Mapping[str, Any]]
    feature_flags: frozenset[str]
    children: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)

    def find(self, path: str) -> Key | None:
        return self.keys.get(path)

    def spelled(self, parent: str, name: str) -> str:
        """The name that the schema has for ``name`` in the table ``parent``: GitLab Runner ignores the case."""
        if join(parent, name) in self.keys:
            return name
        folded = name.casefold()
        return next((key.name for key in self.children.get(parent, ()) if key.name.casefold() == folded), name)


def join(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent else name


@cache
def schema() -> Schema:
    """The schema of the GitLab Runner release that this version of the collection knows."""
    raw = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
    keys = {path: _key(path, entry) for path, entry in raw["keys"].items()}
    children: dict[str, tuple[Key, ...]] = {}
    for key in keys.values():
        children[key.parent] = children.get(key.parent, ()) + (key,)
    return Schema(raw["release"], keys, raw["removed"], frozenset(raw["feature_flags"]), children)


def _key(path: str, entry: dict[str, Any]) -> Key:
    facts: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return Key(path, **facts)
