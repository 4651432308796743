# SPDX-License-Identifier: GPL-3.0-or-later
"""TOML data against the key table of config.toml, with the strictness of the decoder GitLab Runner uses.

The decoder (https://github.com/BurntSushi/toml) wants exact types, matches keys exactly and then without regard to
case, and passes over keys it does not know. The key table is the collection's own.
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
    """The decoder would refuse the document; the text says where and why."""


@dataclasses.dataclass
class Key:
    kind: str
    children: dict[str, Key] = dataclasses.field(default_factory=dict)


@functools.cache
def key_table() -> Key:
    """The whole of config.toml as one tree of keys."""
    path = next(path for path in _TABLE_FILES if path.exists())
    root = Key("table")
    for dotted, entry in json.loads(path.read_text(encoding="utf-8"))["keys"].items():
        parent, _, name = dotted.rpartition(".")
        _find(root, parent).children[name] = Key(entry["type"])
    return root


def decode(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the document under its canonical keys, and the dotted paths of the keys nobody knows."""
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
        return _table(_of(value, dict, where, "a table"), key, where, unknown)
    if key.kind == "array_of_tables":
        rows = _of(value, list, where, "an array of tables")
        return [_table(_of(row, dict, where, "a table"), key, where, unknown) for row in rows]
    if key.kind.startswith("table<") and not isinstance(value, dict):
        return {}  # the decoder passes over it: https://github.com/BurntSushi/toml/blob/v1.6.0/decode.go (unifyMap)
    for problem in _problems(value, key.kind):
        raise TypeMismatch(f"{where}: {problem}")
    return value


def _problems(value: Any, kind: str) -> Iterator[str]:
    """Yield what is wrong with a value that is to be of the given kind."""
    if kind == "string_or_array":
        yield from _problems(value, "array<string>" if isinstance(value, list) else "string")
    elif kind == "duration":
        yield from _duration_problems(value)
    elif kind == "datetime":
        if not isinstance(value, datetime.datetime) and not (isinstance(value, str) and _RFC3339.fullmatch(value)):
            yield f"a date and time is wanted, not {_named(value)}"
    elif kind.startswith("array<"):
        if not isinstance(value, list):
            yield f"an array is wanted, not {_named(value)}"
        else:
            for item in value:
                yield from _problems(item, kind.removeprefix("array<").removesuffix(">"))
    elif kind.startswith("table<string,"):
        for item in value.values():
            yield from _problems(item, kind.removeprefix("table<string,").removesuffix(">"))
    elif kind != "any" and type(value) not in _SCALARS[kind]:
        yield f"{kind} is wanted, not {_named(value)}"


def _duration_problems(value: Any) -> Iterator[str]:
    if type(value) not in (str, int):
        yield f"a duration is wanted, not {_named(value)}"
        return
    try:
        durations.seconds(value)
    except ValueError as error:
        yield str(error)


def _of(value: Any, kind: type, where: str, wanted: str) -> Any:
    if not isinstance(value, kind):
        raise TypeMismatch(f"{where}: {wanted} is wanted, not {_named(value)}")
    return value


def _named(value: Any) -> str:
    names = {str: "a string", bool: "a bool", int: "an integer", float: "a float", list: "an array", dict: "a table"}
    return names.get(type(value), "a date or time")
