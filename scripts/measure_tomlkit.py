#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tomlkit and our own editor do to a config.toml: the figures of docs/adr/0008-edit-config-toml-by-line.md.

    .venv/bin/python scripts/measure_tomlkit.py [--failures]

Two corpora, apart. ``usual`` (tests/corpus/toml/usual): what GitLab Runner saves, and what people write after its
documentation. ``adversarial`` (tests/corpus/toml/adversarial): every other layout that TOML allows, three of the usual
documents with CRLF, with a byte order mark and without the last line break, and documents of the property tests'
generator.

Every kind of edit that the collection makes is made at every place of every document, one at a time, by both. Three
things are asked of the text that comes out: does tomllib read the wanted data from it; is every line that the edit is
not about still there, byte for byte and in order; do the new lines have the indentation of their neighbours.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / ".cache" / "collections"), str(ROOT / "tests")]

import tomlkit  # noqa: E402
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.editor import Document  # noqa: E402
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import (  # noqa: E402
    BOM,
    Line,
    Location,
    Section,
    TomlError,
    identical,
    load,
    read_lines,
    split,
)
from unit.config.strategies import Layout, tables  # noqa: E402

CORPUS = ROOT / "tests" / "corpus" / "toml"
GENERATED = 40
VARIED = ("saved-docker", "written-docker", "written-global")
VALUE: dict[type, Any] = {str: "measured", int: 4711, bool: None, list: ["measured", "x"]}
TABLE = {"measured": 1, "measured_too": "x", "measured_table": {"measured": True}}
ENTRY = {"measured": ["x"], "measured_table": {"measured": "x", "measured_table": {"measured": 1}}}


@dataclass(frozen=True)
class Edit:
    """``how`` (put, append, remove) ``value`` at ``location``; ``kind`` is the row of the table."""

    kind: str
    how: str
    location: Location
    value: Any = None


def edits(text: str) -> Iterator[Edit]:
    """Every edit that can be made to ``text``."""
    sections, _epilogue = split(list(read_lines(text.removeprefix(BOM))))
    headed = {section.location for section in sections}
    yield Edit("none: read and write back", "none", ())
    yield Edit("append entry", "append", ("runners",), ENTRY)
    for location, value in walk(load(text)):
        own_header = location in headed
        if isinstance(value, dict):
            within = "to table" if own_header else "to inline, dotted or implied table"
            yield Edit(f"add key {within}", "put", location + ("measured",), "x")
            yield Edit(f"add nested table {within}", "put", location + ("measured",), TABLE)
            yield Edit(f"add list of tables {within}", "put", location + ("measured",), [TABLE, TABLE])
            if not location:
                continue
            if isinstance(location[-1], int):
                yield Edit("remove entry" if own_header else "remove inline entry", "remove", location)
            else:
                yield Edit("replace table" if own_header else "replace inline table", "put", location, TABLE)
                yield Edit("remove table" if own_header else "remove inline table", "remove", location)
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            if location != ("runners",):
                yield Edit("replace list of tables", "put", location, [TABLE, TABLE])
                yield Edit("append to list of tables", "append", location, TABLE)
        elif not isinstance(location[-1], int):
            inline = "" if location[:-1] in headed else " in inline, dotted or implied table"
            wanted = not value if isinstance(value, bool) else VALUE.get(type(value), 4712)
            yield Edit(f"set value{inline}", "put", location, wanted)
            yield Edit(f"remove key{inline}", "remove", location)


def walk(value: Any, location: Location = ()) -> Iterator[tuple[Location, Any]]:
    yield location, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, location + (key,))
    elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from walk(item, location + (index,))


def apply(edit: Edit, data: Any) -> None:
    """The edit made to plain data, or to a tomlkit document as its users would."""
    if edit.how == "none":
        return
    parent = data
    for step in edit.location[:-1]:
        parent = parent[step]
    key = edit.location[-1]
    if edit.how == "remove":
        del parent[key]
    elif edit.how == "put":
        parent[key] = deepcopy(edit.value)
    elif key in parent:
        parent[key].append(deepcopy(edit.value))
    else:
        parent[key] = [deepcopy(edit.value)]


def with_tomlkit(text: str, edit: Edit) -> str:
    document = tomlkit.parse(text.removeprefix(BOM))
    apply(edit, document)
    return (BOM if text.startswith(BOM) else "") + tomlkit.dumps(document)


def with_ours(text: str, edit: Edit) -> str:
    document = Document(text)
    if edit.how == "remove":
        document.remove(edit.location)
    elif edit.how != "none":
        getattr(document, edit.how)(edit.location, edit.value)
    return document.text()


def judge(text: str, edit: Edit, edited: str) -> dict[str, bool]:
    """The three answers."""
    wanted = load(text)
    apply(edit, wanted)
    try:
        right = identical(_without_empty(load(edited)), _without_empty(wanted))
    except TomlError:
        right = False
    rest = iter([line.text for line in read_lines(edited.removeprefix(BOM))])
    kept = all(any(_same(line.text, other) for other in rest) for line in untouched(text, edit))
    return {"data": right, "lines": kept, "indentation": not right or indented(text, edited)}


def untouched(text: str, edit: Edit) -> Iterator[Line]:
    """The lines of ``text`` that ``edit`` is not about."""
    sections, epilogue = split(list(read_lines(text.removeprefix(BOM))))
    adds = edit.how in ("append", "none") or edit.location not in dict(walk(load(text)))
    depth = len(edit.location)
    for section in sections:
        if not adds and section.location[:depth] == edit.location:
            continue
        yield from section.head
        for line in section.body:
            place = section.location + line.keys
            around, below = place == edit.location[: len(place)], place[:depth] == edit.location
            if line.kind != "pair" or not (around or (below and not adds)):
                yield line
    yield from epilogue


def _same(line: str, other: str) -> bool:
    """The last line of a text may get a line break."""
    return line == other or (line[-1] != "\n" and line == other.rstrip("\r\n"))


def _without_empty(value: Any) -> Any:
    """Without empty lists: an array of tables that has lost its last one is not there, or empty."""
    if isinstance(value, dict):
        return {key: _without_empty(item) for key, item in value.items() if item != []}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def indented(text: str, edited: str) -> bool:
    """Whether each new key stands like the old ones of its section, and each new header like those beside it."""
    headers = {line.text.strip() for line in read_lines(text.removeprefix(BOM)) if line.kind == "header"}
    sections, _epilogue = split(list(read_lines(edited.removeprefix(BOM))))
    steps = {_step(each, _pairs(each, new=False)[0]) for each in sections if each.head and _pairs(each, new=False)}
    for section in sections:
        new = _pairs(section, new=True)
        level = {line.indent for line in _pairs(section, new=False)}
        if level and not {line.indent for line in new} <= level:
            return False
        if not level and section.head and steps and not {_step(section, line) for line in new} <= steps:
            return False
        if not section.head or section.head[-1].text.strip() in headers:
            continue
        parent = _names(section.location)[:-1]
        others = [each for each in sections if each.head and each.head[-1].text.strip() in headers]
        level = {each.head[-1].indent for each in others if _names(each.location)[:-1] == parent}
        above = [line for each in others if _names(each.location) == parent for line in _pairs(each, new=False)]
        level = level or {line.indent for line in above}
        if level and section.head[-1].indent not in level:
            return False
    return True


def _pairs(section: Section, new: bool) -> list[Line]:
    return [line for line in section.body if line.kind == "pair" and new == any("measured" in key for key in line.keys)]


def _step(section: Section, line: Line) -> str:
    """How much deeper than the header a key of its section stands."""
    return line.indent.removeprefix(section.head[-1].indent)


def _names(location: Location) -> list[str]:
    return [step for step in location if isinstance(step, str)]


def adversarial() -> Iterator[tuple[str, str]]:
    yield from files("adversarial")
    for name, text in files("usual"):
        if name in VARIED:
            yield f"{name} with CRLF", text.replace("\n", "\r\n")
            yield f"{name} with byte order mark", BOM + text
            yield f"{name} without the last line break", text.removesuffix("\n")
    for seed in range(GENERATED):
        rng = Random(seed)
        data = tables(rng, "", 4)
        data["runners"] = [{"name": f"{index}", **tables(rng, "runners", 6)} for index in range(rng.randint(1, 3))]
        yield f"generated {seed}", Layout(rng).document(data)


def files(corpus: str) -> Iterator[tuple[str, str]]:
    for path in sorted((CORPUS / corpus).glob("*.toml")):
        _license, _newline, text = path.read_text(encoding="utf-8").partition("\n")
        yield path.stem, text


QUESTIONS = ("data", "lines", "indentation")
ENGINES: dict[str, Callable[[str, Edit], str]] = {"tomlkit": with_tomlkit, "ours": with_ours}


def measure(documents: list[tuple[str, str]], failures: bool) -> Iterator[str]:
    """The table of one corpus, line by line."""
    made: Counter[str] = Counter()
    good: Counter[tuple[str, str, str]] = Counter()
    for name, text in documents:
        for edit in edits(text):
            made[edit.kind] += 1
            for engine, make in ENGINES.items():
                try:
                    edited = make(text, edit)
                    answers = judge(text, edit, edited)
                except Exception as error:  # what it cannot do is a result
                    answers = dict.fromkeys(QUESTIONS, False)
                    edited = f"{type(error).__name__}: {error}"
                good.update((edit.kind, engine, question) for question, answer in answers.items() if answer)
                if failures and not all(answers.values()):
                    print(f"--- {engine}, {name}, {edit}: {answers}\n{edited}", file=sys.stderr)
    yield f"| edit | number | {' | '.join(f'{engine}: data, lines, indentation' for engine in ENGINES)} |"
    yield "|---|---:|" + "---|" * len(ENGINES)
    for kind, number in made.items():
        cells = []
        for engine in ENGINES:
            numbers = [good[kind, engine, question] for question in QUESTIONS]
            cells.append("all" if min(numbers) == number else ", ".join(map(str, numbers)))
        yield f"| {kind} | {number} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare tomlkit with our own editor.")
    parser.add_argument("--failures", action="store_true", help="show each edit that is not right, on stderr")
    options = parser.parse_args()
    print(f"tomlkit {version('tomlkit')}")
    for corpus, documents in {"usual": list(files("usual")), "adversarial": list(adversarial())}.items():
        print(f"\n{corpus}: {len(documents)} documents\n")
        for line in measure(documents, options.failures):
            print(line, flush=True)


if __name__ == "__main__":
    main()
