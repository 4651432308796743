# SPDX-License-Identifier: GPL-3.0-or-later
"""What tomlkit writes for us, and where new tables stand."""

from __future__ import annotations

import datetime
import importlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.plugin_utils._config import merge as config
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.editor import Document
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import render_pair, render_tables, render_value
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import TomlError, identical

ACTIONS = "ansible_collections.pifleet.ci.plugins.action"
SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "measure_tomlkit.py"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        ({"a": {"b.c": 1}, "": True}, '{ a = { "b.c" = 1 }, "" = true }'),
        ([], "[]"),
        ([{"a": 1}, {"b": [{}]}], "[{ a = 1 }, { b = [{}] }]"),
        ('"\\\n\x7f', '"\\"\\\\\\n\\u007f"'),
        (1e16, "1e+16"),
        (datetime.datetime(1, 1, 1, tzinfo=datetime.UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_a_value_on_one_line(value: Any, text: str) -> None:
    assert render_value(value) == text
    assert render_pair(["a", "b c"], value) == f'a."b c" = {text}'
    assert identical(tomllib.loads(f"x = {text}")["x"], value)


@pytest.mark.parametrize("render", [render_value, lambda value: render_tables(["a"], {"b": value})])
@pytest.mark.parametrize("value", [None, [1, None], {"x": None}])
def test_what_toml_has_no_form_for(render: Callable[[Any], str], value: Any) -> None:
    with pytest.raises(TomlError, match=r"has no form in TOML: .*NoneType"):
        render(value)


@pytest.mark.parametrize(
    ("text", "value", "added"),
    [
        (
            '[[runners]]\n  name = "a"\n[runners.docker]\n  image = "x"\n',
            {"cache": {"Type": "s3", "s3": {"BucketName": "b"}}},
            '\n[runners.cache]\n  Type = "s3"\n\n  [runners.cache.s3]\n    BucketName = "b"\n',
        ),
        (
            '[[runners]]\n  name = "a"\n  [runners.docker]\n  [runners.docker.sysctls]\n    one = "1"\n',
            {"docker": {"ulimit": {"nofile": "9"}}},
            '\n  [runners.docker.ulimit]\n    nofile = "9"\n',
        ),
        (
            '[[runners]]\nname = "a"\n[runners.docker]\nimage = "x"\n',
            {"docker": {"services": [{"name": "one"}, {"name": "two"}]}},
            '\n[[runners.docker.services]]\nname = "one"\n\n[[runners.docker.services]]\nname = "two"\n',
        ),
    ],
)
def test_a_new_table_stands_like_those_beside_it(text: str, value: dict[str, Any], added: str) -> None:
    assert config.merge(text, settings={}, runners=[{"name": "a", **value}]) == text + added


def test_the_tables_of_a_new_entry_stand_like_those_of_the_others() -> None:
    text = '[[runners]]\n  name = "a"\n[runners.docker]\n  image = "x"\n'
    assert config.set_entry(text, None, {"name": "b", "docker": {"image": "y"}}) == (
        text + '\n[[runners]]\n  name = "b"\n\n[runners.docker]\n  image = "y"\n'
    )


def test_new_lines_end_like_the_others() -> None:
    text = '[[runners]]\r\n  name = "a"\r\n'
    document = Document(text)
    document.put(("runners", 0, "docker"), {"image": "x", "sysctls": {"one": "1"}})
    assert document.text() == text + (
        '\r\n  [runners.docker]\r\n    image = "x"\r\n\r\n    [runners.docker.sysctls]\r\n      one = "1"\r\n'
    )


@pytest.mark.parametrize(
    "action",
    ["gitlab_runner_register", "gitlab_runner_register_secret", "runner_config", "gitlab_runner_preflight"],
)
def test_a_control_node_without_tomlkit(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"{ACTIONS}.{action}")
    monkeypatch.setattr(module, "TOMLKIT_IMPORT_ERROR", "Traceback: no module named tomlkit")
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
    with pytest.raises(AnsibleActionFail, match=r"tomlkit>=0\.13\).* on .*\n?.*on the control node"):
        module.ActionModule.__new__(module.ActionModule).run(task_vars={})


@pytest.mark.slow
def test_each_edit_of_a_usual_document_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ADR 8 says of our editor; scripts/measure_tomlkit.py has the figures of tomlkit beside it."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    measure = importlib.import_module(SCRIPT.stem)
    for name, text in measure.files("usual"):
        for edit in measure.edits(text):
            assert all(measure.judge(text, edit, measure.with_ours(text, edit)).values()), (name, edit)
