# SPDX-License-Identifier: GPL-3.0-or-later
"""Check declared settings against the schema before any host is touched.

GitLab Runner rejects a whole config.toml for one value of the wrong type, and ignores a misspelled key silently; both
are found here. Numbers and booleans that Jinja made strings of are converted where that is exact.
"""

from __future__ import annotations

import datetime
import difflib
import re
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import Key, join, schema
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.values import nanoseconds

INTEGER = re.compile(r"0|-?[1-9]\d*")
FLOAT = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
GIT_URL = re.compile(r"(https?|ssh)://[^/]", re.IGNORECASE)
BOOLEANS = {"true": True, "True": True, "false": False, "False": False}
REGISTRATION = ("url", "token", "token_obtained_at", "token_expires_at")
ARTICLES = {
    "string": "a string",
    "integer": "an integer",
    "bool": "true or false",
    "float": "a number",
    "datetime": "a date and time with time zone (RFC 3339)",
    "duration": 'a duration such as "1h30m"',
    "string_or_array": "a string or a list of strings",
    "table": "a dictionary",
    "array_of_tables": "a list of dictionaries",
    "any": "a value that TOML can hold",
}
TYPES = {
    dict: "a dictionary",
    list: "a list",
    str: "a string",
    bool: "a boolean",  # before int, of which it is one
    int: "an integer",
    float: "a floating-point number",
    type(None): "null",
}
MILLISECOND = 1_000_000


class SchemaError(Exception):
    """The settings cannot be used; ``problems`` has one sentence for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class ValidatedSettings:
    """Settings in the types and the spelling that GitLab Runner reads."""

    settings: dict[str, Any]
    runners: list[dict[str, Any]]
    warnings: list[str] = field(default_factory=list)


def validate_settings(
    settings: Mapping[str, Any], runners: list[dict[str, Any]], *, unknown_keys: str = "fail"
) -> ValidatedSettings:
    """Check plain values; None stands for "remove this key" and fits everywhere but in lists.

    unknown_keys: what to do with keys, values of enumerations and feature flags that the schema does not know: fail,
    warn or ignore. Raises SchemaError, which names every problem and no secret value.
    """
    check = _Validator(unknown_keys)
    if "runners" in settings:
        check.problem("runners", "has a place of its own, the option runners")
    checked = check.table("", {key: value for key, value in settings.items() if key != "runners"}, "")
    entries = [check.runner(position, entry) for position, entry in enumerate(runners)]
    names = [entry.get("name") for entry in entries]
    for name in sorted({name for name in names if name is not None and names.count(name) > 1}):
        check.problem(f"runners[{name}]", "is given more than once")
    for entry in entries:
        check.labels(checked.get("labels"), entry)
    if check.problems:
        raise SchemaError(check.problems)
    return ValidatedSettings(checked, entries, check.warnings)


class _Validator:
    def __init__(self, unknown_keys: str) -> None:
        self.schema = schema()
        self.unknown_keys = unknown_keys
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def problem(self, shown: str, what: str) -> None:
        self.problems.append(f"{shown} {what}.")

    def warn(self, shown: str, what: str) -> None:
        if f"{shown} {what}." not in self.warnings:
            self.warnings.append(f"{shown} {what}.")

    def unknown(self, shown: str, what: str) -> None:
        if self.unknown_keys == "fail":
            self.problem(shown, what)
        elif self.unknown_keys == "warn":
            self.warn(shown, what)

    # tables

    def runner(self, position: int, entry: dict[str, Any]) -> dict[str, Any]:
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            self.problem(f"runners[{position}]", "needs a name that is a string")
            name = str(position)
        shown = f"runners[{name}]"
        for key in REGISTRATION:
            if key in entry:
                self.problem(f"{shown}.{key}", "is not a setting: registration writes it")
        return self.table("runners", {key: value for key, value in entry.items() if key not in REGISTRATION}, shown)

    def labels(self, common: Any, entry: dict[str, Any]) -> None:
        """GitLab Runner counts the common labels and those of an entry together."""
        each = [labels for labels in (common, entry.get("labels")) if isinstance(labels, Mapping)]
        limit, count = self.schema.keys["runners.labels"].max_items or 0, len(set().union(*each))
        if count > limit >= max(map(len, each), default=0):
            self.problem(
                f"runners[{entry.get('name')}].labels", f"and labels are {count} together; {limit} are allowed"
            )

    def table(self, path: str, values: Mapping[str, Any], shown: str, whole: bool = False) -> dict[str, Any]:
        """``whole``: the table is given as a whole (an element of a list), so that required keys must be there."""
        checked: dict[str, Any] = {}
        for given, value in values.items():
            if not isinstance(given, str):
                self.problem(shown or "the top level", f"has the key {given!r}, which is no string; put it in quotes")
                continue
            name = self.schema.spelled(path, given)
            place, key = join(shown, given), self.schema.find(join(path, name))
            if name in checked:
                self.problem(place, "is given twice, in different spelling")
            checked[name] = self.known(key, value, place) if key else self.stranger(path, given, value, place)
        if whole:
            for key in self.schema.children.get(path, ()):
                if key.required and checked.get(key.name) in (None, ""):
                    self.problem(shown, f"needs {key.name}")
        return checked

    def stranger(self, path: str, name: str, value: Any, shown: str) -> Any:
        removed = self.schema.removed.get(join(path, name))
        release = f"GitLab Runner {self.schema.release}"
        if removed:
            self.unknown(shown, f"was last known to GitLab Runner {removed['last']}; use {removed['replacement']}")
            return value
        near = difflib.get_close_matches(name, [key.name for key in self.schema.children.get(path, ())], n=1)
        elsewhere = [key for key in self.schema.keys.values() if key.name.casefold() == name.casefold()]
        elsewhere.sort(key=lambda key: _distance(key.parent, path))
        if elsewhere:
            hint = f"; {elsewhere[0].name} belongs in {self.header(elsewhere[0].parent)}"
        else:
            hint = f"; the nearest is {near[0]}" if near else ""
        self.unknown(shown, f"is not a key that {release} knows{hint}")
        return value

    def header(self, path: str) -> str:
        array = path and self.schema.keys[path].type == "array_of_tables"
        return f"[[{path}]]" if array else f"[{path}]" if path else "the top level"

    # values

    def known(self, key: Key, value: Any, shown: str) -> Any:
        if value is None:
            return None
        if key.deprecated:
            self.warn(shown, f"is deprecated: {key.deprecated}")
        if key.since.startswith("unreleased"):
            self.warn(shown, f"is not in GitLab Runner {self.schema.release} yet")
        checked = self.value(key, value, shown)
        self.limits(key, checked, shown)
        return checked

    def value(self, key: Key, value: Any, shown: str) -> Any:
        if key.type == "table" or key.is_free_table:
            if not isinstance(value, Mapping):
                return self.refuse("table", value, shown)
            return self.free_table(key, value, shown) if key.is_free_table else self.table(key.path, value, shown)
        if key.type == "array_of_tables":
            if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
                return self.refuse(key.type, value, shown)
            return [self.table(key.path, item, f"{shown}[{i}]", whole=True) for i, item in enumerate(value)]
        if key.type.startswith("array<") or (key.type == "string_or_array" and isinstance(value, list)):
            return self.items(key.item_type or "string", value, shown)
        return self.scalar("string" if key.type == "string_or_array" else key.type, value, shown, key.type)

    def items(self, kind: str, value: Any, shown: str) -> Any:
        if not isinstance(value, list):
            self.problem(shown, f"must be a list, each item {ARTICLES[kind]}, not {_type(value)}")
            return value
        return [self.scalar(kind, item, f"{shown}[{i}]") for i, item in enumerate(value)]

    def free_table(self, key: Key, value: Mapping[str, Any], shown: str) -> dict[str, Any]:
        checked: dict[str, Any] = {}
        for name, item in value.items():
            place, kind = f"{shown}.{name}", key.item_type
            if not isinstance(name, str):
                self.problem(shown, f"has the key {name!r}, which is no string; put it in quotes")
            elif item is None:
                checked[name] = None
            elif kind.startswith("array<"):
                checked[name] = self.items(kind[6:-1], item, place)
            elif key.path == "runners.feature_flags":
                checked[name] = self.feature_flag(name, item, place)
            else:
                checked[name] = self.scalar(kind, item, place)
        return checked

    def feature_flag(self, name: str, value: Any, shown: str) -> Any:
        if name not in self.schema.feature_flags:
            near = difflib.get_close_matches(name, self.schema.feature_flags, n=1)
            hint = f"; the nearest is {near[0]}" if near else ""
            self.unknown(shown, f"is not a feature flag that GitLab Runner {self.schema.release} knows{hint}")
        return self.scalar("bool", value, shown)

    def scalar(self, kind: str, value: Any, shown: str, expected: str = "") -> Any:
        """``value`` as ``kind``, converted where that is exact."""
        right = _converted(kind, value)
        if right is not None:
            return right
        return self.refuse(expected or kind, value, shown)

    def refuse(self, kind: str, value: Any, shown: str) -> Any:
        hint = ""
        if kind in ("string", "string_or_array") and isinstance(value, (bool, int, float)):
            hint = "; put it in quotes"
        elif kind == "duration" and isinstance(value, int) and not isinstance(value, bool):
            hint = f'; GitLab Runner takes {value} for nanoseconds, write "{value}s"'
        elif kind == "duration" and isinstance(value, str) and INTEGER.fullmatch(value):
            hint = "; it needs a unit, for instance s"
        elif isinstance(value, str) and kind in ("integer", "bool", "float"):
            hint = " that is something else"
        self.problem(shown, f"must be {ARTICLES[kind]}, not {_type(value)}{hint}")
        return value

    def limits(self, key: Key, value: Any, shown: str) -> None:
        """What may not be below a minimum, outside an enumeration, or against a pattern."""
        items = value if isinstance(value, list) else [value]
        for item in items:
            self.one_of(key, item, shown)
            self.form(key, item, shown)
            if key.contains and isinstance(item, str) and key.contains not in item:
                self.problem(shown, f"must contain {key.contains}")
        if key.min is not None and _below(key, value):
            self.problem(shown, f"must be at least {key.min}")
        if isinstance(value, str) and len(value) < key.min_length:
            self.problem(shown, "must not be empty")
        if isinstance(value, Mapping) and key.is_free_table:
            self.names(key, value, shown)

    def one_of(self, key: Key, item: Any, shown: str) -> None:
        allowed = key.enum or key.enum_items
        if not allowed or not isinstance(item, str) or item in allowed:
            return
        if key.any_case and item.casefold() in {each.casefold() for each in allowed}:
            return
        self.unknown(
            shown, f"is {item!r}; GitLab Runner {self.schema.release} knows {', '.join(filter(None, allowed))}"
        )

    def form(self, key: Key, item: Any, shown: str) -> None:
        """A time zone, a period or an expression that GitLab Runner cannot read makes it reject the whole file.

        An address for Git that has no scheme is passed over without a word.
        """
        if not isinstance(item, str):
            return
        if key.format == "timezone" and not _is_timezone(item):
            self.problem(shown, f"is {item!r}, which is no time zone; they are written like Europe/Berlin")
        if key.format == "periods" and not item.startswith("@") and len(item.split()) < 5:
            self.problem(shown, f"has the period {item!r} with fewer than 5 fields")
        if key.format == "regexp" and (fault := _regexp_fault(item)):
            self.problem(shown, f"is {item!r}, which is no regular expression: {fault}")
        if key.format == "git_url" and item and not GIT_URL.match(item):
            self.problem(
                shown, "must begin with http://, https:// or ssh:// and a host; GitLab Runner ignores it otherwise"
            )

    def names(self, key: Key, value: Mapping[str, Any], shown: str) -> None:
        present = {name: item for name, item in value.items() if item is not None}
        if key.max_items is not None and len(present) > key.max_items:
            self.problem(shown, f"has {len(present)} items; {key.max_items} are allowed")
        for name, item in present.items():
            if key.allowed_keys and name not in key.allowed_keys:
                self.problem(f"{shown}.{name}", f"is not one of {', '.join(key.allowed_keys)}")
            if key.key_pattern and not re.search(key.key_pattern, name):
                self.problem(f"{shown}.{name}", f"is a name that does not match {key.key_pattern}")
            if key.value_pattern and isinstance(item, str) and not re.search(key.value_pattern, item):
                self.problem(f"{shown}.{name}", f"has a value that does not match {key.value_pattern}")


def _regexp_fault(expression: str) -> str:
    """What is wrong with the expression, "" if nothing. Go knows escapes and groups of its own, which may be right.

    It also takes flags such as (?i) anywhere. https://pkg.go.dev/regexp/syntax
    """
    try:
        re.compile(expression)
    except re.error as error:
        of_go = error.msg.startswith(("bad escape", "unknown extension", "global flags not at the start"))
        return "" if of_go else error.msg
    return ""


def _converted(kind: str, value: Any) -> Any:
    """``value`` as ``kind`` if it is that or becomes that without a loss, else None."""
    if isinstance(value, bool):
        return value if kind in ("bool", "any") else None
    if kind == "string":
        return value if isinstance(value, str) and _encodable(value) else None
    if kind == "bool":
        return BOOLEANS.get(value) if isinstance(value, str) else None
    if kind == "integer":
        if isinstance(value, str) and INTEGER.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return value if isinstance(value, int) and -(2**63) <= value < 2**63 else None
    if kind == "float":
        if isinstance(value, str) and FLOAT.fullmatch(value):
            value = float(value)
        return float(value) if isinstance(value, (int, float)) and float(value) == value else None
    if kind == "duration":
        length = nanoseconds(value)
        meant_seconds = isinstance(value, int) and 0 < value < MILLISECOND
        return value if length is not None and not meant_seconds else None
    if kind == "datetime":
        return _date_and_time(value)
    return value if kind == "any" and _storable(value) else None


def _date_and_time(value: Any) -> datetime.datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime.datetime) and value.tzinfo else None


def _is_timezone(name: str) -> bool:
    known = zoneinfo.available_timezones()
    return name in ("", "Local") or name in known or not known  # a control node may have no list of time zones


def _encodable(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _storable(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _storable(item) for name, item in value.items())
    if isinstance(value, list):
        return all(map(_storable, value))
    if isinstance(value, str):
        return _encodable(value)
    return isinstance(value, (bool, int, float, datetime.date, datetime.time))


def _below(key: Key, value: Any) -> bool:
    if key.type == "duration":
        return (nanoseconds(value) or 0) < (nanoseconds(key.min) or 0)
    return isinstance(value, int) and not isinstance(value, bool) and value < int(key.min or 0)


def _distance(parent: str, path: str) -> int:
    """How many tables lie between two tables."""
    one, other = parent.split(".") if parent else [], path.split(".") if path else []
    common = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return len(one) + len(other) - 2 * common


def _type(value: Any) -> str:
    for kind, name in TYPES.items():
        if isinstance(value, kind):
            return name
    return type(value).__name__
