# SPDX-License-Identifier: GPL-3.0-or-later
"""config.toml as it may be shown: the layout is the file's own, every secret is asterisks.

Secret are the keys that the schema calls so, everything in the free-form places where people put credentials
(environment, scripts, plugin options), keys the schema does not know whose name says so, and credentials within URLs,
options and comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import Key, join, schema
from ansible_collections.pifleet.ci.plugins.plugin_utils._tokens import TOKEN
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.editor import Document
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import Location, TomlError

MASK = "********"
CHANGED = f"{MASK} (changed)"
UNREADABLE = "(not valid TOML, not shown)\n"

SECRET_NAME = re.compile(r"(?i)token|passw|passphrase|secret|credential|(?:private|access|account|api).?key|dsn|auth")
ARGUMENTS = re.compile(r"(?:command|entrypoint|_args)$")  # of programs, where a word with "=" need not be an assignment
ASSIGNED = re.compile(r"(?P<name>[\w.\"'-]+)\s*[=:]\s*(?P<value>.*)")

WITHIN = (
    (re.compile(r"://[^/\s@]+@"), f"://{MASK}@"),
    (TOKEN, MASK),
    (re.compile(r"(?i)(\b[\w-]*(?:passw(?:or)?d|token|secret|credential)[\w-]*\s*[=:]\s*)[^\s,;&]+"), rf"\1{MASK}"),
)

Spot = tuple[Any, ...]  # where a secret stands, independent of the order of the entries
Mask = Callable[[Spot, Any], str]


def redact(text: str) -> str:
    """``text`` with every secret masked."""
    return _shown(text, lambda _spot, _secret: MASK, frozenset())


def redacted_diff(before: str, after: str, path: str) -> dict[str, str]:
    """An Ansible diff of two contents: a secret that is new or another one is marked as changed, and not shown."""
    known = set(_secrets(before))
    strings = frozenset(secret for _spot, secret in known | set(_secrets(after)) if isinstance(secret, str))
    return {
        "before": _shown(before, lambda _spot, _secret: MASK, strings),
        "after": _shown(after, lambda spot, secret: MASK if (spot, secret) in known else CHANGED, strings),
        "before_header": path,
        "after_header": path,
    }


def secret_strings(text: str) -> set[str]:
    """The secret values in ``text`` that are strings."""
    return {secret for _spot, secret in _secrets(text) if isinstance(secret, str)}


def _secrets(text: str) -> Iterator[tuple[Spot, Any]]:
    found: list[tuple[Spot, Any]] = []

    def note(spot: Spot, secret: Any) -> str:
        found.append((spot, secret))
        return MASK

    _shown(text, note, frozenset())
    return iter(found)


def _shown(text: str, mask: Mask, strings: frozenset[str]) -> str:
    try:
        document = Document(text)
    except TomlError:
        return UNREADABLE if text else ""

    def value(location: Location, present: Any) -> Any:
        path = ""
        spot: Spot = ()
        for depth, step in enumerate(location):
            if isinstance(step, str):
                path = join(path, schema().spelled(path, step))
                spot += (step,)
            else:
                element = document.get(location[: depth + 1])
                spot += (element.get("name", step),)
        return _masked(path, spot, present, mask, whole=_within_free_form(path))

    return document.shown(value, lambda comment: _comment(comment, strings))


def _masked(path: str, spot: Spot, value: Any, mask: Mask, whole: bool = False) -> Any:
    """``value`` with the secrets in it masked; ``whole``: everything in it is one."""
    key = schema().find(path)
    if isinstance(value, dict):
        return {
            name: _masked(join(path, schema().spelled(path, name)), spot + (name,), item, mask, whole or _free(key))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_masked(path, spot + _name_of(item), item, mask, whole) for item in value]
    if isinstance(value, bool) or value == "":
        return value
    if whole or _free(key):
        name, equals, secret = str(value).partition("=")
        listed = key is not None and key.type == "array<string>"
        named = listed and (not ARGUMENTS.search(path) or name.startswith("-"))
        return f"{name}={mask(spot + (name,), secret)}" if equals and named else mask(spot, value)
    if _secret(path, key):
        return mask(spot, value)
    return scrubbed(value) if isinstance(value, str) else value


def _name_of(item: Any) -> Spot:
    return (item.get("name"),) if isinstance(item, dict) else ()


def _free(key: Key | None) -> bool:
    return key is not None and key.free_form


def _within_free_form(path: str) -> bool:
    while path:
        if _free(schema().find(path)):
            return True
        path = path.rpartition(".")[0]
    return False


def _secret(path: str, key: Key | None) -> bool:
    if key is not None:
        return key.secret
    return bool(schema().removed.get(path, {}).get("secret") or SECRET_NAME.search(_unknown_part(path)))


def _unknown_part(path: str) -> str:
    """The names at the end of the path that the schema does not know, be it a key or a table around it."""
    known = path
    while known and schema().find(known) is None:
        known = known.rpartition(".")[0]
    return path[len(known) :]


def scrubbed(text: str) -> str:
    """Text that is no config.toml without the credentials in its addresses, options and words."""
    for pattern, replacement in WITHIN:
        text = pattern.sub(replacement, text)
    return text


def _comment(comment: str, strings: frozenset[str]) -> str:
    """A comment, in which settings that were commented out may hold a secret too."""
    assigned = ASSIGNED.search(comment)
    if assigned:
        name = assigned["name"].strip("\"'").rpartition(".")[2]
        if SECRET_NAME.search(name) or name.casefold() in _secret_names():
            comment = comment[: assigned.start("value")] + MASK + comment[assigned.end("value") :]
    comment = scrubbed(comment)
    for secret in sorted(strings, key=len, reverse=True):
        if len(secret) > 3:
            comment = comment.replace(secret, MASK)
    return comment


def _secret_names() -> set[str]:
    return {key.name.casefold() for key in schema().keys.values() if key.secret or key.free_form}
