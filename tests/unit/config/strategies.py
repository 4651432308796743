# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents and settings made from the schema, in every layout that TOML allows."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from random import Random
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import Key, schema
from hypothesis import strategies as st

SCHEMA = schema()
LEAVES = [key for key in SCHEMA.keys.values() if not key.is_table]
CONNECTION = ("url", "id", "token", "token_obtained_at", "token_expires_at")
FORMATS: dict[str, Any] = {
    "timezone": "Europe/Berlin",
    "git_url": "https://gitlab.internal:8443/git",
    "periods": ["* * 9-17 * * mon-fri *", "@hourly"],
    "regexp": r"^pis/[a-z]+\pL*$",
}
STRINGS = (
    "plain",
    "with space",
    'quo"te',
    "back\\slash",
    "apos'trophe",
    "# no comment",
    "[[runners]]",
    "line\nbreak # 1\n[x]\n",
    "tab\there",
    "ümläut ✓",
    "= [",
    "\x7f\x1b",
    'ends with quote"',
    "'''",
    '"""',
)


def sample(key: Key, rng: Random) -> Any:
    """A value of the right type within the limits of ``key``."""
    kind = key.type
    if key.format:
        return FORMATS[key.format]
    if key.secret or (key.free_form and kind == "string"):
        return secret(rng)
    if kind == "string":
        return rng.choice(key.enum) if key.enum else rng.choice(STRINGS) + key.contains
    if kind == "string_or_array":
        return rng.choice([rng.choice(key.enum), rng.sample(key.enum, 2)])
    if kind == "duration":
        return rng.choice(["1h30m0s", "90s", "1m", "2h0m0.5s", 3_600_000_000_000])
    if kind == "datetime":
        zone = datetime.timezone(datetime.timedelta(hours=rng.randint(-3, 3)))
        return datetime.datetime(2026, 1, rng.randint(1, 28), 3, 4, 5, tzinfo=zone)
    if kind == "table<string,any>":
        return {"a": secret(rng), "b": {"c": [secret(rng)], "d.e": True}} if rng.random() < 0.5 else {}
    if key.is_free_table:
        return {name: _item(key, key.item_type, rng) for name in _names(key, rng)}
    if kind.startswith("array<"):
        return [_item(key, key.item_type, rng) for _ in range(rng.randint(0, 3))]
    return _item(key, kind, rng)


def secret(rng: Random) -> str:
    return f"hush-{rng.getrandbits(32):08x}" + rng.choice(["", '"', "\n", "\\"])


def _names(key: Key, rng: Random) -> list[str]:
    if key.path == "runners.feature_flags":
        return rng.sample(sorted(SCHEMA.feature_flags), 2)
    return list(key.allowed_keys) or rng.sample(["one1", "t.w.o", "three_3", "four-4"], rng.randint(0, 3))


def _item(key: Key, kind: str, rng: Random) -> Any:
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "integer":
        return rng.randint(int(key.min or 0), 5000)
    if kind == "float":
        return rng.choice([0.5, 2.0, 1e-9, 3.25])
    if kind.startswith("array<"):
        return [_item(key, kind[6:-1], rng) for _ in range(rng.randint(0, 2))]
    if key.enum_items:
        return rng.choice(key.enum_items)
    if key.free_form:
        return rng.choice(["NAME=", "amazonec2-secret-key=", ""]) + key.contains + secret(rng)
    return "value-1" if key.value_pattern else rng.choice(STRINGS) + key.contains


def nested(key: Key, value: Any) -> dict[str, Any]:
    """``{"settings": {...}, "runners": [...]}`` with ``value`` at the place of ``key``, lists of tables made whole."""
    tree: Any = value
    path = key.path
    while path:
        path, _dot, name = path.rpartition(".")
        tree = {name: tree}
        table = SCHEMA.find(path)
        if table and table.type == "array_of_tables" and path != "runners":
            required = [child for child in SCHEMA.children[path] if child.required and child.name != name]
            tree = [tree | {child.name: sample(child, Random(0)) for child in required}]
    if key.path.startswith("runners."):
        return {"settings": {}, "runners": [{"name": "one"} | tree["runners"]]}
    return {"settings": tree, "runners": []}


def tables(rng: Random, prefix: str, count: int, *, removals: bool = False) -> dict[str, Any]:
    """A table with about ``count`` keys that the schema has below ``prefix`` ("" or "runners")."""
    if prefix:
        pool = [key for key in LEAVES if key.path.startswith("runners.") and key.path.split(".")[1] not in CONNECTION]
    else:
        pool = [key for key in LEAVES if not key.path.startswith("runners.")]
    table: dict[str, Any] = {}
    for key in rng.sample(pool, min(count, len(pool))):
        value = None if removals and rng.random() < 0.2 and not _within_list(key) else sample(key, rng)
        whole = nested(key, value)
        _absorb(table, whole["runners"][0] if prefix else whole["settings"])
    table.pop("name", None)
    return table


def _absorb(table: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(table.get(name), dict):
            _absorb(table[name], value)
        else:
            table[name] = value


def _within_list(key: Key) -> bool:
    parents = [key.parent.rsplit(".", cut)[0] for cut in range(key.parent.count(".") + 1)]
    return any(
        table and table.type == "array_of_tables" and table.path != "runners" for table in map(SCHEMA.find, parents)
    )


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """The data of a config.toml: known keys, strangers, and entries with a connection."""
    rng = Random(draw(st.integers(0, 2**32)))
    data = tables(rng, "", draw(st.integers(0, 4)))
    if draw(st.booleans()):
        data["stranger"] = {"kept": [1, {"x": "y"}], "sub": {"z": 1.5}}
    entries = []
    for index in range(draw(st.integers(0, 3))):
        entry: dict[str, Any] = {"name": f"entry {index}", "url": "https://gitlab.example.com", "id": index + 1}
        entry |= {"token": f"glrt-hush-{rng.getrandbits(32):08x}", "unheard_of": "kept"}
        entries.append(entry | tables(rng, "runners", draw(st.integers(0, 6))))
    if entries:
        data["runners"] = entries
    return data


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments for merge: settings and up to three runners, some keys with None."""
    rng = Random(draw(st.integers(0, 2**32)))
    runners = [
        {"name": f"entry {index}"} | tables(rng, "runners", draw(st.integers(0, 5)), removals=True)
        for index in range(draw(st.integers(0, 3)))
    ]
    for index, runner in enumerate(runners):
        runner["name"] = f"entry {index}"
    return {"settings": tables(rng, "", draw(st.integers(0, 4)), removals=True), "runners": runners}


@st.composite
def laid_out(draw: st.DrawFn, data: dict[str, Any]) -> str:
    """``data`` as TOML in some layout: headers, inline, dotted or quoted keys, comments, line breaks, order."""
    return Layout(Random(draw(st.integers(0, 2**32)))).document(data)


class Layout:
    """A writer of TOML that leaves no freedom of the format unused."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.comments = 0
        self.indent = rng.choice(["", "  ", "\t"])
        self.inline = rng.choice([0.0, 0.1, 0.5])
        self.noise = rng.choice([0.0, 0.2, 0.6])

    def document(self, data: dict[str, Any]) -> str:
        blocks = list(self.table((), data, header=""))
        if self.rng.random() < 0.3:
            blocks = self.out_of_order(blocks)
        text = "".join(block for _group, block in blocks) + self.comment("")
        if self.rng.random() < 0.2:
            text = text.rstrip("\n")
        if self.rng.random() < 0.2:
            text = text.replace("\r", "").replace("\n", "\r\n")
        return ("\ufeff" if self.rng.random() < 0.1 else "") + text

    def out_of_order(self, blocks: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Move whole top-level tables between or behind the entries."""
        movable = [block for block in blocks[1:] if block[0] != "runners"]
        rest = [block for block in blocks if block not in movable]
        for block in movable:
            rest.insert(self.rng.randint(1, len(rest)), block)
        return rest

    def table(self, path: tuple[str, ...], values: dict[str, Any], header: str) -> Iterator[tuple[str, str]]:
        depth = self.indent * max(len(path) - 1, 0)
        keys = depth + self.indent if path else ""
        lines, below = "", []
        for name, value in values.items():
            as_table = isinstance(value, dict) or (value and isinstance(value, list) and isinstance(value[0], dict))
            if isinstance(value, list) and not all(isinstance(item, dict) for item in value):
                as_table = False
            if as_table and self.rng.random() >= self.inline:
                below.append((name, value))
            elif isinstance(value, dict) and value and self.rng.random() < 0.5:
                lines += self.dotted(keys, (name,), value)
            else:
                lines += self.pair(keys, (name,), value)
        head = self.comment(depth) + depth + header + self.trailing() + "\n" if header else ""
        yield (path[0] if path else ""), head + lines
        self.rng.shuffle(below)
        for name, value in below:
            place = path + (name,)
            for item in value if isinstance(value, list) else [value]:
                brackets = "[[%s]]" if isinstance(value, list) else "[%s]"
                yield from self.table(place, item, brackets % ".".join(map(self.key, place)))

    def dotted(self, indent: str, path: tuple[str, ...], values: dict[str, Any]) -> str:
        return "".join(self.pair(indent, path + (name,), value) for name, value in values.items())

    def pair(self, indent: str, path: tuple[str, ...], value: Any) -> str:
        equals = self.rng.choice(["=", " = ", "\t=  "])
        key = ".".join(map(self.key, path))
        return f"{self.comment(indent)}{indent}{key}{equals}{self.value(value)}{self.trailing()}\n"

    def key(self, name: str) -> str:
        bare = all(character.isascii() and (character.isalnum() or character in "_-") for character in name)
        return name if bare and self.rng.random() < 0.9 else json.dumps(name)

    def comment(self, indent: str) -> str:
        text = ""
        while self.rng.random() < self.noise:
            self.comments += 1
            remark = f"# remark {self.comments} "
            text += self.rng.choice(
                ["", f"{indent}{remark} [x] = '\n", f"{remark}\n\n", f'{indent}# token = "hush-{self.comments}"\n']
            )
            text += self.rng.choice(["", "\n", "  \n"])
        return text

    def trailing(self) -> str:
        self.comments += 1
        return f"  # beside {self.comments}" if self.rng.random() < self.noise / 2 else ""

    def value(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, datetime.datetime):
            return value.isoformat(self.rng.choice(["T", " "]))
        if isinstance(value, list):
            broken = self.rng.random() < 0.3
            separator = ", # ] \n   " if broken else ", "
            return "[" + ("\n" if broken else "") + separator.join(map(self.value, value)) + "]"
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{self.key(name)} = {self.value(item)}" for name, item in value.items()) + " }"
        return repr(value)

    def string(self, value: str) -> str:
        printable = all(character >= " " and character != "\x7f" for character in value)
        forms = [json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")]
        if printable and "'" not in value:
            forms.append(f"'{value}'")
        if printable and '"' not in value and "\\" not in value:
            forms.append(f'"""\n{value}"""')
        if (
            "'''" not in value
            and not value.endswith("'")
            and all(c >= " " or c == "\n" for c in value.replace("\x7f", "\0"))
        ):
            forms.append(f"'''\n{value}'''")
        return self.rng.choice(forms)
