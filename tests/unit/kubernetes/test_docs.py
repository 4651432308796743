# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories of docs/kubernetes.md are ones that the role takes."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.validate import validate_settings
from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.executor import Place, executor_problems
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.options import desired_runner

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
BLOCKS = [yaml.safe_load(dedent(text)) for text in re.findall(r"```yaml[^\n]*\n(.*?)^ *```", PAGE, re.S | re.M)]
INVENTORIES = [block for block in BLOCKS if "gitlab_runner_runners" in block]
JOBS = [job for block in BLOCKS for job in block.values() if isinstance(job, dict) and "script" in job]


def test_there_are_inventories_and_jobs() -> None:
    assert (len(INVENTORIES), len(JOBS)) == (3, 3)


@pytest.mark.parametrize("inventory", INVENTORIES, ids=lambda inventory: inventory["gitlab_runner_runners"][0]["name"])
def test_an_inventory(inventory: dict[str, Any]) -> None:
    (runner,) = inventory["gitlab_runner_runners"]
    common = {"name": runner["name"], "url": "https://gitlab.example.com", "api_token": "glpat-example"}
    desired_runner({**common, **runner["gitlab"]}, "gitlab-runner.k3s")
    entry = {"executor": "kubernetes", **runner["config"], "name": runner["name"]}
    assert validate_settings(inventory.get("gitlab_runner_global", {}), [entry]).warnings == []
    allowed = [runner["name"]] if runner.get("allow_privileged") else []
    assert executor_problems([entry], Place("k3s", "gitlab-runner", "gitlab-runner"), allowed) == []


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job["tags"][-1])
def test_a_job_has_a_runner(job: dict[str, Any]) -> None:
    tags = [set(inventory["gitlab_runner_runners"][0]["gitlab"]["tag_list"]) for inventory in INVENTORIES]
    assert set(job["tags"]) in tags


def test_variables_of_the_page_exist() -> None:
    known = {
        name
        for role in ("gitlab_runner", "gitlab_runner_kubernetes", "raspberry_pi")
        for name in yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())[
            "argument_specs"
        ]["main"]["options"]
    }
    named = re.findall(r"^ *((?:gitlab_runner|raspberry_pi)_\w+):", PAGE, re.MULTILINE)
    assert named
    assert set(named) <= known
