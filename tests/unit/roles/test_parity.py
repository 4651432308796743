# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's defaults, its argument specification and its README say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.pifleet.ci.plugins.action.runner_config import ARGUMENT_SPEC as CONFIGURATION

ROOT = Path(__file__).parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
EXAMPLES = sorted((ROOT / "inventories" / "group_vars").rglob("*.yml"))


def load(role: str, path: str) -> Any:
    return yaml.safe_load((ROOT / "roles" / role / path).read_text())


def options(role: str, entry_point: str = "main") -> dict[str, Any]:
    found: dict[str, Any] = load(role, "meta/argument_specs.yml")["argument_specs"][entry_point]["options"]
    return found


def readme_rows(role: str) -> dict[str, str]:
    text = (ROOT / "roles" / role / "README.md").read_text()
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", text, re.MULTILINE))


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_agree(role: str) -> None:
    defaults, specified = load(role, "defaults/main.yml"), options(role)
    assert set(defaults) == {name for name, option in specified.items() if not option.get("required")}
    for name, value in defaults.items():
        computed = isinstance(value, str) and "{{" in value  # the specification says in words what it is
        assert specified[name].get("default") == (None if computed else value), name


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_documented_typed_and_prefixed(role: str) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role}_")
        assert option["description"]
        assert option["type"]


@pytest.mark.parametrize("role", ROLES)
def test_preflight_takes_what_the_role_takes(role: str) -> None:
    assert options(role, "preflight") == options(role)


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_has_a_row_for_each_option(role: str) -> None:
    rows, specified = readme_rows(role), options(role)
    assert set(rows) == set(specified)
    for name, shown in rows.items():
        option = specified[name]
        if option.get("required"):
            assert shown == "required"
        elif "default" in option:
            assert yaml.safe_load(shown.strip("`")) == option["default"], name


@pytest.mark.parametrize("role", ROLES)
def test_internal_variables_are_prefixed(role: str) -> None:
    for path in (ROOT / "roles" / role / "vars").rglob("*.yml"):
        for name in yaml.safe_load(path.read_text()):
            assert name.startswith(f"_{role}_"), f"{path}: {name}"


@pytest.mark.parametrize("role", ROLES)
def test_the_number_of_options_stays_small(role: str) -> None:
    assert len(options(role)) <= 17


def test_the_role_passes_every_option_of_the_configuration() -> None:
    task = load("gitlab_runner", "tasks/configure.yml")[0]["pifleet.ci.runner_config"]
    assert set(CONFIGURATION) - set(task) == set()


def test_what_hosts_are_compared_by_has_the_defaults_of_the_role() -> None:
    """hostvars of another host do not have the defaults of a role."""
    compared = load("gitlab_runner", "vars/main/service.yml")["_gitlab_runner_service_options"]
    assert compared.items() <= load("gitlab_runner", "defaults/main.yml").items()
    assert len(compared) == 5


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_inventory_names_existing_options_only(path: Path) -> None:
    known = {name for role in ROLES for name in options(role)} | {"ansible_become_password"}
    named = re.findall(r"^(?:# )?(\w+): ", path.read_text(), re.MULTILINE)
    prefixes = (
        "ansible_", "disk_space_", "docker_", "gitlab_runner_", "job_images_", "raspberry_pi_", "registry_mirror_",
        "s3_cache_", "swarm_",
    )  # fmt: skip
    assert {name for name in named if name.startswith(prefixes)} <= known
