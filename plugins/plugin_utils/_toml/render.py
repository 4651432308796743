# SPDX-License-Identifier: GPL-3.0-or-later
"""New TOML text, all of it written by tomlkit: keys, values and tables."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import TomlError

if TYPE_CHECKING:
    from tomlkit.items import Item

try:
    import tomlkit
    from tomlkit.exceptions import ConvertError
except ImportError:
    IMPORT_ERROR: str | None = traceback.format_exc()
else:
    IMPORT_ERROR = None


def render_value(value: Any) -> str:
    """``value`` on one line, tables inline. Raises TomlError for what has no form in TOML."""
    with _toml_error():
        return _inline(value).as_string()


def render_pair(keys: Iterable[str], value: Any) -> str:
    """``a.b = value`` without a line break. Raises TomlError like render_value."""
    return f"{tomlkit.key(list(keys)).as_string()} = {render_value(value)}"


def render_tables(path: list[str], value: Mapping[str, Any] | list[Mapping[str, Any]]) -> str:
    """The table, or the array of tables, called ``path``, with a header for each table in it. Raises TomlError."""
    nested: Any = value
    for key in reversed(path):
        nested = {key: nested}
    with _toml_error():
        return tomlkit.dumps(nested)


def _inline(value: Any) -> Item:
    """``value`` as an item of tomlkit, which gives a mapping a header unless it is told otherwise."""
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        if value:
            table.add(tomlkit.ws(" "))  # { a = 1 }, as in GitLab's documentation
        for key, item in value.items():
            table.add(key, _inline(item))
        if value:
            table.add(tomlkit.ws(" "))
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        for item in value:
            array.append(_inline(item))
        return array
    return tomlkit.item(value)


@contextmanager
def _toml_error() -> Iterator[None]:
    try:
        yield
    except ConvertError as error:  # it tells the type, not the value
        raise TomlError(f"a value has no form in TOML: {error}") from error
