# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.pifleet.ci.plugins.action.runner_config import ARGUMENT_SPEC
from ansible_collections.pifleet.ci.plugins.modules import runner_config, runner_config_file
from ansible_collections.pifleet.ci.plugins.plugin_utils._config import merge as config
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import SchemaError, validate_settings
from documentation import documented_aspects
from unit.config.strategies import LEAVES, SCHEMA

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "config-toml.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found, language
    return found[1]


def rows(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_worked_example() -> None:
    task = yaml.safe_load(block("yaml"))[0]["pifleet.ci.runner_config"]
    task["runners"][0]["limit"] = "2"  # what the template gives where it makes a string
    checked = validate_settings(task["global"], task["runners"])
    after = config.merge(block("toml before"), settings=checked.settings, runners=checked.runners)
    assert after == block("toml after")
    assert config.merge(after, settings=checked.settings, runners=checked.runners) == after


def test_the_table_of_options() -> None:
    documented = {row[0].strip("`"): yaml.safe_load(row[1].strip("`")) for row in rows("What you write")}
    assert documented == {name: argument.get("default") for name, argument in ARGUMENT_SPEC.items()}


def test_the_stub_documents_the_arguments_of_the_action() -> None:
    assert documented_aspects(runner_config) == {
        name: {key: value for key, value in argument.items() if key != "no_log"}
        for name, argument in ARGUMENT_SPEC.items()
    }
    assert [name for name, argument in ARGUMENT_SPEC.items() if argument.get("no_log")] == ["api_token"]


def test_the_examples_are_valid() -> None:
    for examples in (
        runner_config.EXAMPLES,
        runner_config_file.EXAMPLES,
        "\n".join(re.findall(r"(?s)```yaml\n(.*?)```", PAGE)),
    ):
        for task in yaml.safe_load(examples):
            arguments: dict[str, Any] = task.get("pifleet.ci.runner_config", {})
            assert arguments.keys() <= ARGUMENT_SPEC.keys()
    task = yaml.safe_load(runner_config.EXAMPLES)[0]["pifleet.ci.runner_config"]
    validate_settings(task["global"], task["runners"])


@pytest.mark.parametrize("row", rows("What is checked"), ids=lambda row: row[0])
def test_the_table_of_answers(row: list[str]) -> None:
    written, answer = row
    found = re.search(r"`([^`]+)`(?: in `?(an entry|docker)`?)?", written)
    assert found
    values = yaml.safe_load(found[1])
    if found[2] == "docker":
        values = {"docker": values}
    entry = found[2] is not None or "privileged" in values
    if "taken as" in answer:
        values = {"docker": values} if entry else values
        checked = validate_settings({} if entry else values, [{"name": "docker"} | values] if entry else [])
        taken = (checked.runners[0]["docker"] if entry else checked.settings).popitem()[1]
        assert taken == yaml.safe_load(answer.removeprefix("taken as "))
        return
    with pytest.raises(SchemaError) as error:
        validate_settings({} if entry else values, [{"name": "docker"} | values] if entry else [])
    assert error.value.problems == [answer.strip("`")]


def test_the_counts() -> None:
    tables = len(SCHEMA.keys) - len(LEAVES)
    assert f"{len(LEAVES)} keys and {tables} tables of GitLab Runner {SCHEMA.release}" in PAGE.replace("\n", " ")
