# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters as Grape validates them: coerced, checked, and all errors joined in one `error` text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fake_gitlab import errors

_TRUE = {True, "1", "true", "TRUE", "True", "t", "T", "on", "ON", "yes", "y"}
_FALSE = {False, "0", "false", "FALSE", "False", "f", "F", "off", "OFF", "no", "n"}


def boolean(value: Any) -> bool | None:
    if value is None or value == "":
        return None
    if isinstance(value, (bool, int, str)):
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
    raise ValueError


def integer(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError
    return int(value)


def string(value: Any) -> str | None:
    if isinstance(value, (dict, list)):
        raise ValueError
    return None if value is None else str(value)


def strings(value: Any) -> list[str]:
    """A list from a list or a comma-separated string; members of a list are split at commas, too."""
    if value is None:
        return []
    if not isinstance(value, (str, list)):
        raise ValueError
    members = value if isinstance(value, list) else [value]
    return [part.strip() for member in members for part in str(member).split(",") if part.strip()]


def mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError


@dataclass(frozen=True)
class Param:
    """A declared parameter. `coerce` raises ValueError; `values` are the allowed values, if not all are."""

    name: str
    coerce: Callable[[Any], Any] = string
    required: bool = False
    values: tuple[str, ...] = ()


def read_params(
    params: Mapping[str, Any],
    declared: Sequence[Param],
    *,
    exclusive: Sequence[tuple[str, ...]] = (),
    at_least_one: Sequence[str] = (),
) -> dict[str, Any]:
    """The declared parameters that were sent, coerced; undeclared ones are dropped. Raises APIError (400)."""
    messages: list[str] = []
    result: dict[str, Any] = {}
    for param in declared:
        if param.name not in params:
            if param.required:
                messages.append(f"{param.name} is missing")
                if param.values:
                    messages.append(f"{param.name} does not have a valid value")
            continue
        try:
            value = param.coerce(params[param.name])
        except ValueError:
            messages.append(f"{param.name} is invalid")
            continue
        if param.values and value not in (None, *param.values):
            messages.append(f"{param.name} does not have a valid value")
        result[param.name] = value
    for names in exclusive:
        if sum(name in params for name in names) > 1:
            messages.append(f"{', '.join(names)} are mutually exclusive")
    if at_least_one and not any(name in params for name in at_least_one):
        messages.append(f"{', '.join(at_least_one)} are missing, at least one parameter must be provided")
    if messages:
        raise errors.validation_error(messages)
    return result


def without_blank(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without None, blank strings and empty lists, which creation treats as not sent; False stays."""
    return {name: value for name, value in values.items() if value not in (None, "", []) and not _blank(value)}


def _blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()
