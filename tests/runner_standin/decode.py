# SPDX-License-Identifier: GPL-3.0-or-later
"""Decodes TOML data against the schema of config.toml, as strictly as the decoder that GitLab Runner uses.

The decoder (https://github.com/BurntSushi/toml) requires exact types, matches keys exactly, then case-insensitively,
and ignores unknown keys. The schema is the collection's own.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner_standin import durations

_TABLE_FILES = (
    Path(__file__).with_name("config_schema.json"),  # in the image
    Path(__file__).parents[2] / "plugins" / "plugin_utils" / "_config" / "schema.json",  # in the repository
)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_SCALARS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "bool": (bool,),
    "float": (float, int),
}


class TypeMismatch(Exception):
    """A value has a type that the decoder rejects; the message has the dotted path."""


@dataclasses.dataclass
class Key:
    kind: str
    children: dict[str, Key] = dataclasses.field(default_factory=dict)


@functools.cache
def key_table() -> Key:
    """The keys of config.toml as a tree."""
    path = next(path for path in _TABLE_FILES if path.exists())
    root = Key("table")
    for dotted, entry in json.loads(path.read_text(encoding="utf-8"))["keys"].items():
        parent, _, name = dotted.rpartition(".")
        _find(root, parent).children[name] = Key(entry["type"])
    return root


def decode(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the document with canonical keys, and the dotted paths of unknown keys. Raises TypeMismatch."""
    unknown: list[str] = []
    return _table(document, key_table(), "", unknown), unknown


def _find(root: Key, dotted: str) -> Key:
    node = root
    for name in filter(None, dotted.split(".")):
        node = node.children.setdefault(name, Key("table"))
    return node


def _table(table: Mapping[str, Any], key: Key, path: str, unknown: list[str]) -> dict[str, Any]:
    decoded = {}
    for name, value in table.items():
        canonical = _canonical(name, key.children, table)
        where = f"{path}.{name}" if path else name
        if canonical is None:
            unknown.append(where)
        else:
            decoded[canonical] = _value(value, key.children[canonical], where, unknown)
    return decoded


def _canonical(name: str, known: Mapping[str, Key], table: Mapping[str, Any]) -> str | None:
    if name in known:
        return name
    folded = name.casefold()
    return next((other for other in known if other.casefold() == folded and other not in table), None)


def _value(value: Any, key: Key, where: str, unknown: list[str]) -> Any:
    if key.kind == "table":
        return _table(_require_type(value, dict, where, "a table"), key, where, unknown)
    if key.kind == "array_of_tables":
        rows = _require_type(value, list, where, "an array of tables")
        return [_table(_require_type(row, dict, where, "a table"), key, where, unknown) for row in rows]
    if key.kind.startswith("table<") and not isinstance(value, dict):
        return {}  # the decoder ignores it: https://github.com/BurntSushi/toml/blob/v1.6.0/decode.go (unifyMap)
    for error in _type_errors(value, key.kind):
        raise TypeMismatch(f"{where}: {error}")
    return value


def _type_errors(value: Any, kind: str) -> Iterator[str]:
    """Yield a message for each mismatch between the value and its kind in the schema."""
    if kind == "string_or_array":
        yield from _type_errors(value, "array<string>" if isinstance(value, list) else "string")
    elif kind == "duration":
        yield from _duration_errors(value)
    elif kind == "datetime":
        if not isinstance(value, datetime.datetime) and not (isinstance(value, str) and _RFC3339.fullmatch(value)):
            yield f"a date and time expected, not {_type_name(value)}"
    elif kind.startswith("array<"):
        if not isinstance(value, list):
            yield f"an array expected, not {_type_name(value)}"
        else:
            for item in value:
                yield from _type_errors(item, kind.removeprefix("array<").removesuffix(">"))
    elif kind.startswith("table<string,"):
        for item in value.values():
            yield from _type_errors(item, kind.removeprefix("table<string,").removesuffix(">"))
    elif kind != "any" and type(value) not in _SCALARS[kind]:
        yield f"{kind} expected, not {_type_name(value)}"


def _duration_errors(value: Any) -> Iterator[str]:
    if type(value) not in (str, int):
        yield f"a duration expected, not {_type_name(value)}"
        return
    try:
        durations.seconds(value)
    except ValueError as error:
        yield str(error)


def _require_type(value: Any, kind: type, where: str, expected: str) -> Any:
    if not isinstance(value, kind):
        raise TypeMismatch(f"{where}: {expected} expected, not {_type_name(value)}")
    return value


def _type_name(value: Any) -> str:
    names = {str: "a string", bool: "a bool", int: "an integer", float: "a float", list: "an array", dict: "a table"}
    return names.get(type(value), "a date or time")
