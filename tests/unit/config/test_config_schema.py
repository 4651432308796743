# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema is complete, and every key of it accepts the right type and refuses a wrong one by name."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._config import merge as config
from ansible_collections.pifleet.ci.plugins.plugin_utils._config import schema as schema_module
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import Key
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import SchemaError, validate_settings
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import identical
from unit.config.strategies import CONNECTION, LEAVES, SCHEMA, nested, sample

WRONG: dict[str, list[Any]] = {
    "string": [1, 1.5, True, ["x"], {"x": "y"}],
    "integer": ["many", "1.5", "01", "0x10", " 1", 1.5, True, [1], 2**63, {}],
    "bool": ["yes", "1", "", 1, 0, [True], {}],
    "float": ["half", "", "1,5", True, [0.5], {}],
    "duration": ["3600 s", "1 h 30 min", "1d", "900", "", 900, 1.5, True, ["1h"], {}],
    "datetime": ["yesterday", "2026-01-01", "2026-01-01T00:00:00", 0, True],
    "string_or_array": [1, True, {"x": "y"}, [1]],
    "array<string>": ["one", 1, True, {"x": "y"}, [1], [None], [["x"]]],
    "array<float>": [0.5, "0.5", True, {"x": 0.5}, ["x"], [None]],
    "array<integer>": [1, "1", True, {"x": 1}, [1.5], ["x"]],
    "table<string,string>": ["x", 1, ["x"], True, {"x": 1}, {"x": ["y"]}, {1: "x"}],
    "table<string,integer>": ["x", 1, [1], True, {"x": "y"}, {"x": 1.5}],
    "table<string,bool>": ["x", True, [True], {"x": "yes"}, {"x": 1}],
    "table<string,array<string>>": ["x", ["x"], {"x": "y"}, {"x": [1]}],
    "table<string,any>": ["x", 1, ["x"], True],
}


def identify(key: Key) -> str:
    return key.path


def test_every_key_and_table_is_there() -> None:
    tables = [key for key in SCHEMA.keys.values() if key.is_table]
    assert (len(LEAVES), len(tables), len(SCHEMA.keys)) == (628, 116, 744)
    assert (len(SCHEMA.removed), len(SCHEMA.feature_flags), SCHEMA.release) == (10, 51, "19.3")
    assert {key.type for key in LEAVES} == WRONG.keys()
    assert all(key.parent in SCHEMA.keys for key in SCHEMA.keys.values() if key.parent)
    assert sum(key.secret for key in LEAVES) == 11
    assert sum(key.free_form for key in LEAVES) == 22


@pytest.mark.parametrize("key", [key for key in LEAVES if key.path.split(".")[-1] not in CONNECTION], ids=identify)
def test_the_right_type_is_accepted_and_reaches_the_file(key: Key) -> None:
    given = nested(key, sample(key, Random(key.path)))
    if key.path == "runners.name":
        given["runners"][0]["name"] = "one"
    checked = validate_settings(given["settings"], given["runners"])
    assert identical([checked.settings, checked.runners], [given["settings"], given["runners"]])
    written = tomllib.loads(config.merge("", append_missing=True, **given))
    assert written.pop("runners", []) == given["runners"]
    assert config.merge(config.merge("", append_missing=True, **given), **given) == config.merge(
        "", append_missing=True, **given
    )


@pytest.mark.parametrize("key", LEAVES, ids=identify)
def test_a_wrong_type_is_refused_by_name(key: Key) -> None:
    for wrong in WRONG[key.type]:
        given = nested(key, wrong)
        with pytest.raises(SchemaError) as error:
            validate_settings(given["settings"], given["runners"])
        shown = key.path.replace("runners.", "runners[one].", 1) if key.path.startswith("runners.") else key.path
        parts = [part for part in shown.split(".") if part]
        assert all(part.split("[")[0] in error.value.problems[0] for part in parts), error.value.problems
        if key.secret:
            assert repr(wrong).strip("'") in ("", "True", "1", "{}") or repr(wrong) not in str(error.value)


@pytest.mark.parametrize("name", CONNECTION)
def test_what_registration_writes_is_no_setting(name: str) -> None:
    key = SCHEMA.keys[f"runners.{name}"]
    given = nested(key, sample(key, Random(1)))
    if name == "id":  # it may find an entry, and is never written
        assert validate_settings(**given).runners == given["runners"]
        return
    with pytest.raises(SchemaError, match=rf"runners\[one\]\.{name} is not a setting: registration writes it"):
        validate_settings(**given)


@pytest.mark.parametrize("table", [key for key in SCHEMA.keys.values() if key.is_table], ids=identify)
def test_a_table_is_no_scalar_and_knows_its_keys(table: Key) -> None:
    for wrong in ["x", 1, ["x"], True] + ([{}] if table.type == "array_of_tables" else [[{}]]):
        if table.path == "runners":
            continue
        given = nested(table, wrong)
        with pytest.raises(SchemaError, match=r"must be a (dictionary|list of dictionaries)"):
            validate_settings(**given)


def test_the_data_file_has_one_key_a_line() -> None:
    lines = Path(schema_module.__file__).with_name("schema.json").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.startswith('"') and '"type"' in line]) == 744
    assert json.loads("\n".join(lines))["release"] == schema_module.schema().release
