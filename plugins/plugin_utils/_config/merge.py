# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab Runner's config.toml: what it says, and the same text with settings merged into it.

Pure functions on text. Keys, comments, order and blank lines that are not ours stay; text that already says what is
wanted comes back byte for byte. Keys are found as GitLab Runner finds them: the exact spelling first, then without
regard to case.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import join, schema
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.values import equivalent
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.editor import Document
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import (
    BOM,
    OWN_NOTE,
    Location,
    TomlError,
    identical,
    load,
    read_lines,
)

NO_ENTRY = f"{OWN_NOTE}no runner is registered here"
"""The line of a file that would be empty otherwise: an empty one is what a power cut leaves (_config/recovery.py)."""


class ConfigTomlError(Exception):
    """One sentence: why the text cannot be read, or cannot be given the wanted settings."""


class MissingEntryError(ConfigTomlError):
    """There is no entry of that name."""


def parse(text: str) -> dict[str, Any]:
    """The data of config.toml. Known keys have the spelling of the schema, "runners" is always a list of tables.

    Dates and times are datetime objects. Raises ConfigTomlError with line and column.
    """
    try:
        data = load(text)
    except TomlError as error:
        raise ConfigTomlError(f"config.toml is {error}") from error
    data = _canonical(data, "")
    runners = data.setdefault("runners", [])
    if not isinstance(runners, list) or not all(isinstance(entry, dict) for entry in runners):
        raise ConfigTomlError("config.toml has a runners that is not an array of tables; write [[runners]]")
    return data


def merge(
    text: str,
    *,
    settings: Mapping[str, Any],
    runners: list[dict[str, Any]],
    purge: bool = False,
    append_missing: bool = False,
) -> str:
    """``text`` with ``settings`` merged into its top level and each of ``runners`` into its entry.

    An entry is the one of that name, else the one of that ``id``. Only given keys are touched: tables merge, lists
    replace, None removes. A value that GitLab Runner reads as the present one (zero for absent, "60m" for "1h0m0s")
    is no change. purge removes the entries that are not in ``runners``. append_missing adds an entry that is missing,
    otherwise MissingEntryError is raised. Raises ConfigTomlError for text that cannot be read or edited.
    """
    present = parse(text)["runners"]
    indexes = [_find_entry(present, wanted) for wanted in runners]
    document = Document(_without_note(text) if None in indexes else text)
    array = _spelled(document.data, "runners", "")
    try:
        _merge_table(document, (), "", settings, equivalent)
        for wanted, index in zip(runners, indexes, strict=True):
            if index is None:
                if not append_missing:
                    raise MissingEntryError(
                        f"there is no [[runners]] entry named {wanted['name']!r} in it; register it first"
                    )
                document.append((array,), _without_none(wanted))
                continue
            values = {key: value for key, value in wanted.items() if key != "id"}
            _merge_table(document, (array, index), "runners", values, equivalent)
        if purge:
            for index in reversed(unlisted(present, runners)):
                document.remove((array, index))
        return never_blank(text, document.text())
    except TomlError as error:
        raise ConfigTomlError(f"config.toml: {error}") from error


def unlisted(present: list[dict[str, Any]], runners: list[dict[str, Any]]) -> list[int]:
    """Indexes of the ``present`` entries that none of ``runners`` is for: those that purge removes."""
    listed = {_find_entry(present, wanted) for wanted in runners}
    return [index for index in range(len(present)) if index not in listed]


def set_entry(text: str, index: int | None, values: Mapping[str, Any]) -> str:
    """``text`` with exactly ``values`` in entry ``index`` (None: in a new entry); None as a value removes the key."""
    parse(text)
    document = Document(_without_note(text) if index is None else text)
    array = _spelled(document.data, "runners", "")
    try:
        if index is None:
            document.append((array,), _without_none(values))
        else:
            _merge_table(document, (array, index), "runners", values, _exactly)
        return never_blank(text, document.text())
    except TomlError as error:
        raise ConfigTomlError(f"config.toml: {error}") from error


def remove_entries(text: str, indexes: Collection[int]) -> str:
    """``text`` without the entries at ``indexes``."""
    parse(text)
    document = Document(text)
    array = _spelled(document.data, "runners", "")
    try:
        for index in sorted(set(indexes), reverse=True):
            document.remove((array, index))
        return never_blank(text, document.text())
    except TomlError as error:
        raise ConfigTomlError(f"config.toml: {error}") from error


def never_blank(before: str, after: str) -> str:
    """``after``, but NO_ENTRY where an edit of ``before`` has left nothing."""
    return f"{NO_ENTRY}\n" if is_blank(after) and not is_blank(before) else after


def says_nothing(text: str) -> bool:
    """Whether the text is blank, or holds nothing but NO_ENTRY."""
    return is_blank(_without_note(text))


def is_blank(text: str) -> bool:
    return not text.removeprefix(BOM).strip()


def _without_note(text: str) -> str:
    """``text``, to which an entry will be added, without NO_ENTRY."""
    if NO_ENTRY not in text:
        return text
    mark = BOM if text.startswith(BOM) else ""
    lines = read_lines(text.removeprefix(mark))
    return mark + "".join(line.text for line in lines if line.kind != "comment" or line.text.strip() != NO_ENTRY)


def _merge_table(document: Document, location: Location, path: str, wanted: Mapping[str, Any], same: Any) -> None:
    table = document.get(location)
    for name, value in wanted.items():
        key = _spelled(table if isinstance(table, dict) else {}, name, path)
        place, key_path = location + (key,), join(path, name)
        present = document.get(place)
        if value is None:
            if present is not None:
                document.remove(place)
        elif isinstance(value, Mapping) and isinstance(present, dict):
            _merge_table(document, place, key_path, value, same)
        elif present is None and _only_removes(value):
            continue
        elif not same(key_path, present, _without_none(value)):
            _replace(document, place, _without_none(value))


def _replace(document: Document, location: Location, value: Any) -> None:
    """Make ``value`` of what is at ``location``; in lists of tables, what stays the same keeps its text."""
    present = document.get(location)
    if identical(present, value):
        return
    if isinstance(present, dict) and isinstance(value, dict):
        for key in present.keys() - value.keys():
            document.remove(location + (key,))
        for key, item in value.items():
            _replace(document, location + (key,), item)
    elif _is_list_of_tables(present) and _is_list_of_tables(value):
        for index in reversed(range(len(value), len(present))):
            document.remove(location + (index,))
        for index, item in enumerate(value):
            if index < len(present):
                _replace(document, location + (index,), item)
            else:
                document.append(location, item)
    else:
        document.put(location, value)


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _find_entry(present: list[dict[str, Any]], wanted: Mapping[str, Any]) -> int | None:
    named = [index for index, entry in enumerate(present) if entry.get("name") == wanted["name"]]
    identified = [index for index, entry in enumerate(present) if entry.get("id") == wanted.get("id", 0) != 0]
    if len(named) > 1:
        named = [index for index in named if index in identified] or named
    if len(named) > 1:
        raise ConfigTomlError(f"config.toml has {len(named)} [[runners]] entries named {wanted['name']!r}")
    return next(iter(named or identified), None)


def _exactly(_path: str, present: Any, wanted: Any) -> bool:
    return identical(present, wanted)


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None and not _only_removes(item)}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value


def _only_removes(value: Any) -> bool:
    """Whether the table holds nothing but keys to remove, also in the tables within it."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(item is None or _only_removes(item) for item in value.values())
    )


def _spelled(table: Mapping[str, Any], name: str, path: str) -> str:
    """The key of ``table`` that GitLab Runner takes for ``name``; ``name`` itself when there is none."""
    if name in table or join(path, name) not in schema().keys:
        return name
    folded = name.casefold()
    return next((key for key in table if key.casefold() == folded), name)


def _canonical(value: Any, path: str) -> Any:
    """``value`` with every known key of a table in the spelling of the schema, unless that one is there too."""
    if isinstance(value, list):
        return [_canonical(item, path) for item in value]
    if not isinstance(value, dict):
        return value
    known = schema()
    canonical = {}
    for key, item in value.items():
        name = known.spelled(path, key)
        name = key if name in value else name
        canonical[name] = _canonical(item, join(path, name))
    return canonical
