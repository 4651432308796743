# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit TOML text in place: whatever is not edited stays as it is, byte for byte.

The text is split into sections (one per ``[header]``) and these into lines (a value over several lines is one line).
An edit replaces, inserts or removes such lines, and the same edit is made to the plain data. In the end the text is
read back with tomllib and must give exactly that data; otherwise it is not handed out. Nothing here knows about
GitLab Runner. Why this and not a TOML library that keeps styles: docs/adr/0015-edit-config-toml-by-line.md.

A location is a path of keys, and of indexes within arrays of tables: ``("runners", 0, "docker", "image")``.
"""

from __future__ import annotations

import datetime
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

Location = tuple[str | int, ...]

BOM = "\ufeff"
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
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class TomlError(Exception):
    """The text is not TOML (with line and column), or an edit cannot be made safely."""


@dataclass(frozen=True)
class Line:
    """One line of text with its line break; ``keys`` and the span of the value only where it is ``key = value``."""

    kind: str  # blank, comment, header or pair
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


def render_key(*keys: str) -> str:
    return ".".join(key if BARE_KEY.fullmatch(key) else render_value(key) for key in keys)


def render_value(value: Any) -> str:
    """``value`` on one line, tables inline."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{render_key(key)} = {render_value(item)}" for key, item in value.items())
        return "{ " + pairs + " }" if pairs else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(render_value, value)) + "]"
    if isinstance(value, (int, float)):
        return repr(value)
    raise TomlError(f"a value of type {type(value).__name__} has no form in TOML")


class Document:
    """TOML text being edited. ``data`` is what the text says, kept in step with every edit."""

    def __init__(self, text: str) -> None:
        self.data = load(text)
        self._original = text
        self._bom = BOM if text.startswith(BOM) else ""
        self._newline = "\r\n" if "\r\n" in text and text.count("\r\n") == text.count("\n") else "\n"
        self._sections, self._epilogue = _split(list(_lines(text.removeprefix(BOM))))
        self._edited = False

    def text(self) -> str:
        """The edited text; the original one when nothing was edited. Raises TomlError rather than give a wrong one."""
        if not self._edited:
            return self._original
        lines = [line.text for section in self._sections for line in section.head + section.body]
        text = self._bom + "".join(lines + [line.text for line in self._epilogue])
        try:
            right = identical(load(text), self.data)
        except TomlError:
            right = False
        if not right:
            raise TomlError("it is laid out in a way that cannot be edited safely; nothing was changed")
        return text

    def shown(self, value: Callable[[Location, Any], Any], comment: Callable[[str], str]) -> str:
        """The text with every value and every comment as the two functions want it shown. Not meant to be read back."""
        shown = [self._bom]
        for section in self._sections:
            for line in section.head + section.body:
                start, end = line.value
                if line.kind == "pair":
                    location = section.location + line.keys
                    present = self.get(location)
                    wanted = value(location, present)
                    rendered = line.text[start:end] if identical(present, wanted) else render_value(wanted)
                    shown += [line.text[:start], rendered, comment(line.text[end:])]
                elif line.kind == "header":
                    bracket = line.text.rindex("]", 0, (line.text + "#").index("#")) + 1 if "#" in line.text else None
                    shown += [line.text[:bracket], comment(line.text[bracket:]) if bracket else ""]
                else:
                    shown.append(comment(line.text))
        return "".join(shown + [comment(line.text) for line in self._epilogue])

    def get(self, location: Location) -> Any:
        """The value at ``location``; None when there is none."""
        value: Any = self.data
        for step in location:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def put(self, location: Location, value: Any) -> None:
        """Set the value at ``location``, replacing the whole of what is there."""
        *_table, key = location
        self._edited = True
        if self._subsections(location):
            self.remove(location)
        table = location[:-1]
        home = self._home(table)
        parent = self._require(table)
        parent[key] = deepcopy(value)
        if home is None:
            home = self._open(table), ()
        section, rest = home
        if not rest and _needs_sections(value) and not _lines_of(section, (str(key),)):
            self._append_sections(location, value)
        else:
            self._put_line(section, rest + (str(key),), value)

    def append(self, location: Location, value: Mapping[str, Any]) -> None:
        """Add a table to the array of tables at ``location``, which need not exist yet."""
        self._edited = True
        present = self.get(location)
        if present is not None and self._home(location):  # an inline array
            present.append(deepcopy(dict(value)))
            self._rewrite(location)
            return
        elements = self._require(location[:-1]).setdefault(location[-1], [])
        elements.append(deepcopy(dict(value)))
        self._append_table(location + (len(elements) - 1,), value, array=True)

    def remove(self, location: Location) -> None:
        """Remove the value, table or element of an array of tables at ``location``, with the comment right above."""
        self._edited = True
        table, key = location[:-1], location[-1]
        home = self._home(location if isinstance(key, str) else table)
        parent = self.get(table)
        del parent[key]
        for section in self._subsections(location):
            self._drop(section)
        if isinstance(key, int):
            if home:
                self._rewrite(table)
            elif not parent:
                self._forget(table)
            _locate(self._sections)
            return
        if home:
            section, rest = home
            inline = [line for line in _lines_of(section, rest) if len(line.keys) < len(rest)]
            if inline:
                self._rewrite_line(section, inline[0])
            else:
                section.body = [line for line in section.body if line.keys[: len(rest)] != rest]
        self._keep_defined(table)

    # where things are

    def _section(self, location: Location) -> Section | None:
        return next((section for section in self._sections if section.location == location), None)

    def _subsections(self, location: Location) -> list[Section]:
        depth = len(location)
        return [section for section in self._sections if section.location[:depth] == location and location]

    def _home(self, location: Location) -> tuple[Section, tuple[Any, ...]] | None:
        """The section that defines ``location`` and the path from it; None when only headers below it do."""
        for cut in range(len(location), -1, -1):
            section, rest = self._section(location[:cut]), location[cut:]
            if section and (not rest or _lines_of(section, rest)):
                return section, rest
        return None

    def _require(self, location: Location) -> Any:
        value: Any = self.data
        for step in location:
            value = value.setdefault(step, {}) if isinstance(step, str) else value[step]
        return value

    # lines

    def _put_line(self, section: Section, keys: tuple[Any, ...], value: Any) -> None:
        lines = _lines_of(section, keys)
        if lines and len(lines[0].keys) <= len(keys):
            self._rewrite_line(section, lines[0])
            return
        for line in lines:  # dotted keys of a table that is replaced as a whole
            section.body.remove(line)
        siblings = _lines_of(section, keys[:-1])
        pair = self._pair(section, keys, value)
        peers = siblings if len(keys) > 1 else [line for line in section.body if line.kind == "pair"]
        first = 0 if section.head else len(section.body)
        self._insert(section, section.body.index(peers[-1]) + 1 if peers else first, pair)

    def _insert(self, section: Section, position: int, line: Line) -> None:
        lines = section.body
        if position == 0 and section.head:
            section.head[-1] = self._ended(section.head[-1])
        elif position:
            lines[position - 1] = self._ended(lines[position - 1])
        if not section.head and position == len(lines) and len(self._sections) > 1:
            lines.append(Line("blank", self._newline))
        lines.insert(position, line)

    def _pair(self, section: Section, keys: tuple[Any, ...], value: Any) -> Line:
        indent = section.indent
        if indent is None:
            indent = section.head[-1].indent + self._step() if section.head else ""
        prefix = f"{indent}{render_key(*map(str, keys))} = "
        rendered = render_value(value)
        span = len(prefix), len(prefix) + len(rendered)
        return Line("pair", prefix + rendered + self._newline, tuple(map(str, keys)), span)

    def _rewrite(self, location: Location) -> None:
        home = self._home(location)
        if home is None:
            raise TomlError("it is laid out in a way that cannot be edited safely; nothing was changed")
        section, rest = home
        self._rewrite_line(section, _lines_of(section, rest)[0])

    def _rewrite_line(self, section: Section, line: Line) -> None:
        """Give the line the value that the data has for it now."""
        rendered = render_value(self.get(section.location + line.keys))
        start, end = line.value
        text = line.text[:start] + rendered + line.text[end:]
        span = start, start + len(rendered)
        section.body[section.body.index(line)] = replace(line, text=text, value=span)

    def _ended(self, line: Line) -> Line:
        return line if line.text.endswith("\n") else replace(line, text=line.text + self._newline)

    # sections

    def _step(self) -> str:
        """How much deeper than its header the keys of a section stand in this document."""
        headed = [section for section in self._sections if section.head and section.indent is not None]
        steps = [(section.indent or "").removeprefix(section.head[-1].indent) for section in headed]
        return next(filter(None, steps), "") if steps else "  "

    def _open(self, location: Location, array: bool = False) -> Section:
        """Add an empty section with a header for ``location``."""
        keys = [step for step in location if isinstance(step, str)]
        path = render_key(*keys)
        parent = next(s for cut in range(len(location) - 1, -1, -1) if (s := self._section(location[:cut])))
        indent = parent.indent
        if indent is None:
            indent = parent.head[-1].indent + self._step() if parent.head else ""
        header = Line("header", f"{indent}[[{path}]]{self._newline}" if array else f"{indent}[{path}]{self._newline}")
        position = self._position(location)
        before = self._sections[position - 1]
        lines = before.body or before.head
        if lines:
            lines[-1] = self._ended(lines[-1])
        gap = [Line("blank", self._newline)] if lines and lines[-1].kind != "blank" else []
        section = Section(location, gap + [header], [])
        self._sections.insert(position, section)
        follower = (self._sections[position + 1].head if position + 1 < len(self._sections) else []) or self._epilogue
        if follower and follower[0].kind != "blank":
            section.body.append(Line("blank", self._newline))
        return section

    def _position(self, location: Location) -> int:
        below = self._subsections(location)
        if below:
            return self._sections.index(below[0])
        for cut in range(len(location) - 1, 0, -1):
            above = self._subsections(location[:cut])
            if above:
                return self._sections.index(above[-1]) + 1
        arrays = (i for i, section in enumerate(self._sections) if _is_array(section.location[:2]))
        return len(self._sections) if _is_array(location) else next(arrays, len(self._sections))

    def _append_sections(self, location: Location, value: Any) -> None:
        if isinstance(value, Mapping):
            self._append_table(location, value)
        else:
            for index, element in enumerate(value):
                self._append_table(location + (index,), element, array=True)

    def _append_table(self, location: Location, table: Mapping[str, Any], array: bool = False) -> None:
        own = {key: value for key, value in table.items() if not _needs_sections(value)}
        if own or array or not table:
            section = self._open(location, array)
            for key, value in own.items():
                self._put_line(section, (key,), value)
        for key, value in table.items():
            if key not in own:
                self._append_sections(location + (key,), value)

    def _drop(self, section: Section) -> None:
        """Remove a section; a comment at its end that stands apart from it was not about it and stays."""
        position = self._sections.index(section)
        before = self._sections[position - 1]
        apart = section.body[_apart(section.body, section.head[-1].indent) :]
        if apart and (before.body or before.head):
            lines = before.body or before.head
            lines[-1] = self._ended(lines[-1])
        before.body.extend(apart)
        del self._sections[position]

    def _forget(self, location: Location) -> None:
        """The array of tables at ``location`` has no element left: nothing in the text stands for it."""
        del self.get(location[:-1])[location[-1]]
        self._keep_defined(location[:-1])

    def _keep_defined(self, location: Location) -> None:
        """Give a table that only its content had defined a header of its own when it has become empty."""
        if location and self._home(location) is None and not self._subsections(location):
            self._open(location)


def _needs_sections(value: Any) -> bool:
    """Whether a value is written as [table] or [[array of tables]] rather than on a line."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, Mapping) for item in value)
    return isinstance(value, Mapping)


def _is_array(location: Location) -> bool:
    return bool(location) and isinstance(location[-1], int)


def _lines_of(section: Section, keys: tuple[Any, ...]) -> list[Line]:
    """The lines that define ``keys``: the pair itself, an inline table around it, or dotted keys below it."""
    return [line for line in section.body if line.kind == "pair" and line.keys[: len(keys)] == keys[: len(line.keys)]]


def _lines(text: str) -> Iterator[Line]:
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


def _split(lines: list[Line]) -> tuple[list[Section], list[Line]]:
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
        cut = _apart(body, "")
        epilogue, body[cut:] = body[cut:], []
    _locate(sections)
    return sections, epilogue


def _adjacent(lines: list[Line], indent: str | None = None) -> int:
    """Index of the first of the comment lines at the end of ``lines`` (with this indentation)."""
    cut = len(lines)
    while cut and lines[cut - 1].kind == "comment" and indent in (None, lines[cut - 1].indent):
        cut -= 1
    return cut


def _apart(lines: list[Line], indent: str) -> int:
    """Where the part begins at the end of ``lines`` that a blank line and a smaller indentation set apart."""
    last = max((i for i, line in enumerate(lines) if line.kind == "pair" or len(line.indent) > len(indent)), default=-1)
    cut = next((i for i in range(last + 1, len(lines)) if lines[i].kind == "blank"), len(lines))
    return cut if any(line.kind == "comment" for line in lines[cut:]) else len(lines)


def _locate(sections: list[Section]) -> None:
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
