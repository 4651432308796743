# SPDX-License-Identifier: GPL-3.0-or-later
"""TOML text as sections (one per ``[header]``) and lines (a value over several lines is one line).

Only what is needed to find a line again is parsed here: where it ends, its key, the span of its value. What the text
means is tomllib's business.

A location is a path of keys, and of indexes within arrays of tables: ``("runners", 0, "docker", "image")``.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Location = tuple[str | int, ...]

BOM = "\ufeff"
OWN_NOTE = "# pifleet.ci: "
"""What a comment of this collection starts with. It is about the file as a whole: whatever table follows, it stays."""

TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r]+)
    | (?P<newline>\n)
    | (?P<comment>\#[^\n]*)
    | (?P<string>\"{3}(?:\\.|[^\\])*?\"{3,5} | '{3}.*?'{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*')
    | (?P<open>[\[{])
    | (?P<close>[\]}])
    | (?P<equals>=)
    | (?P<other>[^\s\#"'\[\]{}=]+)
    """,
    re.VERBOSE | re.DOTALL,
)


class TomlError(Exception):
    """The text is not TOML (with line and column), or an edit cannot be made safely."""


@dataclass(frozen=True)
class Line:
    """One line of text with its line break.

    kind: blank, comment, header or pair. keys: of a pair. value: the span of its value; of a header, the whole.
    """

    kind: str
    text: str
    keys: tuple[str, ...] = ()
    value: tuple[int, int] = (0, 0)

    @property
    def indent(self) -> str:
        return self.text[: len(self.text) - len(self.text.lstrip(" \t"))]


@dataclass
class Section:
    """The preamble (location ``()``, no header) or a header with the comment above it and what follows it."""

    location: Location
    head: list[Line]
    body: list[Line]

    @property
    def indent(self) -> str | None:
        """The indentation of its keys; None when it has none."""
        return next((line.indent for line in self.body if line.kind == "pair"), None)


def load(text: str) -> dict[str, Any]:
    """The plain data of ``text``. Raises TomlError with line and column."""
    try:
        return tomllib.loads(text.removeprefix(BOM))
    except tomllib.TOMLDecodeError as error:
        raise TomlError(f"not valid TOML: {error}") from error


def identical(one: Any, other: Any) -> bool:
    """Equality that tells 1 from 1.0 and from true, and finds nan equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(identical, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return one == other


def names(location: Location) -> list[str]:
    """The keys of ``location``, as a header has them."""
    return [step for step in location if isinstance(step, str)]


def lines_of(section: Section, keys: tuple[Any, ...]) -> list[Line]:
    """The lines that define ``keys``: the pair itself, an inline table around it, or dotted keys below it."""
    return [line for line in section.body if line.kind == "pair" and line.keys[: len(keys)] == keys[: len(line.keys)]]


def read_lines(text: str) -> Iterator[Line]:
    """Split valid TOML text; a value that spans several lines makes one line."""
    start = depth = equals = value_start = end = 0
    kind = "blank"
    for token in TOKEN.finditer(text):
        group = token.lastgroup
        if group == "newline" and depth == 0:
            yield _line(kind, text[start : token.end()], equals - start, value_start - start, end - start)
            start, equals, value_start, kind = token.end(), 0, 0, "blank"
        elif group in ("space", "newline"):
            continue
        elif group == "comment":
            kind = "comment" if kind == "blank" else kind
        else:
            if kind == "blank":
                kind = "header" if group == "open" else "pair"
            depth += {"open": 1, "close": -1}.get(group or "", 0)
            if equals and not value_start:
                value_start = token.start()
            if group == "equals" and not equals:
                equals = token.start()
            end = token.end()
    if start < len(text):
        yield _line(kind, text[start:], equals - start, value_start - start, end - start)


def _line(kind: str, text: str, equals: int, value_start: int, value_end: int) -> Line:
    if kind == "header":
        return Line(kind, text, value=(0, value_end))
    if kind != "pair":
        return Line(kind, text)
    return Line(kind, text, _keys(tomllib.loads(text[:equals] + "= 0")), (value_start, value_end))


def _keys(nested: Any) -> tuple[str, ...]:
    """The only path through ``{"a": {"b": ...}}``."""
    keys: tuple[str, ...] = ()
    while isinstance(nested, dict) and nested:
        ((key, nested),) = nested.items()
        keys += (key,)
    return keys


def split(lines: list[Line]) -> tuple[list[Section], list[Line]]:
    """Sections, and the comments at the end of the text that belong to none of them."""
    sections = [Section((), [], [])]
    for line in lines:
        if line.kind == "header":
            body = sections[-1].body
            cut = _adjacent(body, line.indent)
            sections.append(Section((), body[cut:] + [line], []))
            del body[cut:]
        else:
            sections[-1].body.append(line)
    epilogue: list[Line] = []
    if len(sections) > 1:
        body = sections[-1].body
        cut = tail_apart(body, "")
        epilogue, body[cut:] = body[cut:], []
    locate(sections)
    return sections, epilogue


def _adjacent(lines: list[Line], indent: str | None = None) -> int:
    """Index of the first of the comment lines at the end of ``lines`` (with this indentation)."""
    cut = len(lines)
    while cut and lines[cut - 1].kind == "comment" and indent in (None, lines[cut - 1].indent):
        if lines[cut - 1].text.removeprefix(BOM).startswith(OWN_NOTE):
            break
        cut -= 1
    return cut


def tail_apart(lines: list[Line], indent: str) -> int:
    """Where the part begins at the end of ``lines`` that a blank line and a smaller indentation set apart."""
    last = max((i for i, line in enumerate(lines) if line.kind == "pair" or len(line.indent) > len(indent)), default=-1)
    cut = next((i for i in range(last + 1, len(lines)) if lines[i].kind == "blank"), len(lines))
    return cut if any(line.kind == "comment" for line in lines[cut:]) else len(lines)


def locate(sections: list[Section]) -> None:
    """Give every section its location, counting the elements of arrays of tables."""
    counts: dict[Location, int] = {}
    for section in sections[1:]:
        header = section.head[-1].text
        keys = _keys(_first(tomllib.loads(header)))
        array = header.lstrip().startswith("[[")
        location: Location = ()
        for position, key in enumerate(keys):
            location += (key,)
            if array and position == len(keys) - 1:
                counts[location] = counts.get(location, -1) + 1
            if location in counts:
                location += (counts[location],)
        section.location = location


def _first(value: Any) -> Any:
    """``value`` with every list replaced by its first element."""
    if isinstance(value, list):
        return _first(value[0])
    return {key: _first(item) for key, item in value.items()} if isinstance(value, dict) else value
