# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit TOML text in place: whatever is not edited stays as it is, byte for byte.

An edit replaces, inserts or removes single lines, and is made to the plain data as well. In the end the text is read
back with tomllib and must give exactly that data; otherwise it is not handed out. Nothing here knows about GitLab
Runner. tomlkit writes what is new; why it does not edit as well: docs/adr/0008-edit-config-toml-by-line.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import render_pair, render_tables, render_value
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import (
    BOM,
    Line,
    Location,
    Section,
    TomlError,
    identical,
    lines_of,
    load,
    locate,
    names,
    read_lines,
    split,
    tail_apart,
)

UNSAFE = "it is laid out in a way that cannot be edited safely; nothing was changed"


class Document:
    """TOML text being edited. ``data`` is what the text says, kept in step with every edit."""

    def __init__(self, text: str) -> None:
        self.data = load(text)
        self._original = text
        self._bom = BOM if text.startswith(BOM) else ""
        self._newline = "\r\n" if "\r\n" in text and text.count("\r\n") == text.count("\n") else "\n"
        self._sections, self._epilogue = split(list(read_lines(text.removeprefix(BOM))))
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
            raise TomlError(UNSAFE)
        return text

    def shown(self, value: Callable[[Location, Any], Any], comment: Callable[[str], str]) -> str:
        """The text with every value and every comment as the two functions want it shown. Not meant to be read back."""
        shown = [self._bom]
        for section in self._sections:
            for line in section.head + section.body:
                start, end = line.value
                own = line.text[start:end]
                if line.kind == "pair":
                    present = self.get(section.location + line.keys)
                    wanted = value(section.location + line.keys, present)
                    if not identical(present, wanted) or ("#" in own and "\n" in own):  # comments within the value
                        own = render_value(wanted)
                shown += [line.text[:start], own, comment(line.text[end:])]
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
        table, key = location[:-1], location[-1]
        self._edited = True
        if self._subsections(location):
            self.remove(location)
        home = self._home(table)
        parent = self._require(table)
        parent[key] = deepcopy(value)
        if home is None:
            home = self._add_tables(table, {}), ()
        section, rest = home
        if not rest and _needs_sections(value) and not lines_of(section, (str(key),)):
            self._add_tables(location, value)
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
        self._add_tables(location, [value])

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
            locate(self._sections)
            return
        if home:
            section, rest = home
            inline = [line for line in lines_of(section, rest) if len(line.keys) < len(rest)]
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
            if section and (not rest or lines_of(section, rest)):
                return section, rest
        return None

    def _require(self, location: Location) -> Any:
        value: Any = self.data
        for step in location:
            value = value.setdefault(step, {}) if isinstance(step, str) else value[step]
        return value

    # lines

    def _put_line(self, section: Section, keys: tuple[Any, ...], value: Any) -> None:
        lines = lines_of(section, keys)
        if lines and len(lines[0].keys) <= len(keys):
            self._rewrite_line(section, lines[0])
            return
        for line in lines:  # dotted keys of a table that is replaced as a whole
            section.body.remove(line)
        siblings = lines_of(section, keys[:-1])
        pair = self._line(render_pair(keys, value), self._key_indent(section))
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

    def _line(self, text: str, indent: str) -> Line:
        """A line of what was rendered, with this indentation and the line break of this document."""
        (line,) = read_lines(indent + text.strip() + self._newline)
        return line

    def _key_indent(self, section: Section) -> str:
        """The indentation of the keys of a section, or of a first one."""
        if section.indent is not None:
            return section.indent
        return section.head[-1].indent + self._step() if section.head else ""

    def _rewrite(self, location: Location) -> None:
        home = self._home(location)
        if home is None:
            raise TomlError(UNSAFE)
        section, rest = home
        self._rewrite_line(section, lines_of(section, rest)[0])

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

    def _add_tables(self, location: Location, value: Mapping[str, Any] | list[Mapping[str, Any]]) -> Section:
        """Write ``value``, which the data has at ``location`` already, under headers of its own; the first section.

        A list is written behind the elements that the text has there.
        """
        added, _epilogue = split(list(read_lines(render_tables(names(location), value))))
        del added[0]  # the preamble
        behind = (len(self.get(location)),) if isinstance(value, list) else ()
        position = self._position(location + behind)
        end = position + len(added)
        self._sections[position:position] = added
        locate(self._sections)
        bodies = [[line for line in section.body if line.kind == "pair"] for section in added]
        for section in added:
            section.body = []  # until it is indented it is no model for others
        for index, (section, pairs) in enumerate(zip(added, bodies, strict=True), position):
            indent = self._header_indent(section.location, self._sections[:index] + self._sections[end:])
            section.head = [*self._gap(index), self._line(section.head[-1].text, indent)]
            section.body = [self._line(line.text, indent + self._step()) for line in pairs]
        follower = (self._sections[end].head if end < len(self._sections) else []) or self._epilogue
        if follower and follower[0].kind != "blank":
            added[-1].body.append(Line("blank", self._newline))
        return added[0]

    def _gap(self, index: int) -> list[Line]:
        """What sets the section at ``index`` apart from the one before, whose last line is ended."""
        before = self._sections[index - 1]
        lines = before.body or before.head
        if not lines:
            return []
        lines[-1] = self._ended(lines[-1])
        return [Line("blank", self._newline)] if lines[-1].kind != "blank" else []

    def _header_indent(self, location: Location, others: list[Section]) -> str:
        """The indentation of the headers beside ``location``, else of their like elsewhere, else of the keys above."""
        parent = location[:-1] if isinstance(location[-1], str) else location[:-2]
        alike = [each for each in others if each.head and names(each.location)[:-1] == names(parent)]
        beside = [each for each in alike if each.location[: len(parent)] == parent]
        if alike:
            return (beside or alike)[-1].head[-1].indent
        return self._key_indent(next(s for cut in range(len(parent), -1, -1) if (s := self._section(parent[:cut]))))

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

    def _drop(self, section: Section) -> None:
        """Remove a section; a comment at its end that stands apart from it was not about it and stays."""
        position = self._sections.index(section)
        before = self._sections[position - 1]
        apart = section.body[tail_apart(section.body, section.head[-1].indent) :]
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
            self._add_tables(location, {})


def _needs_sections(value: Any) -> bool:
    """Whether a value is written as [table] or [[array of tables]] rather than on a line."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, Mapping) for item in value)
    return isinstance(value, Mapping)


def _is_array(location: Location) -> bool:
    return bool(location) and isinstance(location[-1], int)
