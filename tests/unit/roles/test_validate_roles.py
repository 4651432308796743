# SPDX-License-Identifier: GPL-3.0-or-later
"""One task validates what several roles would, and site.yml has it validate the roles that run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from plays.cores import on_every_core
from plays.play import ROOT, Play
from plays.table import assert_refused, run_each, show
from test_checks import HOST, SWARM

pytestmark = pytest.mark.slow

IMPORTED = [
    {"ansible.builtin.import_role": {"name": f"pifleet.ci.{role}", "tasks_from": "preflight"}, "when": False}
    for role in ("docker", "swarm")
]


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def case(*roles: str, **variables: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    return [{"pifleet.ci.validate_roles": {"roles": list(roles)}}, *IMPORTED], {"pifleet_host": HOST, **variables}


def test_everything_that_is_wrong_is_said_at_once(play: Play) -> None:
    twice = {"swarm_managers": ["pi-01"], "swarm_workers": ["pi-01"]}
    cases = {
        "settings of two roles": case("docker", "swarm", docker_users=["pi", "pj"], **twice),
        "arguments of two roles": case("docker", "swarm", docker_users={}, swarm_node_labels="rack", **twice),
        "arguments of gitlab_runner": case("gitlab_runner", gitlab_runner_url="x", gitlab_runner_runners=7),
        "no role": case("docker", "dockers"),
        "a role that the play does not have": case("docker", "disk_space"),
    }
    sentences = {
        "settings of two roles": ["pi-01 has no user pj", "pi-01 cannot be in both swarm_managers and swarm_workers"],
        "arguments of two roles": [
            "pi-01: Validation of arguments failed", "argument 'docker_users'", "argument 'swarm_node_labels'",
        ],
        "arguments of gitlab_runner": ["pi-01: Validation", "'gitlab_runner_runners' must be a list"],
        "no role": ["roles has dockers, which is no role of pifleet.ci."],
        "a role that the play does not have": ["this play does not import the role pifleet.ci.disk_space"],
    }  # fmt: skip
    outcomes = assert_refused(play, cases, sentences)
    assert "cannot be in both" not in outcomes["arguments of two roles"].output, "checks rely on the types"


def test_what_is_right_passes_and_a_role_that_is_not_named_is_not_validated(play: Play) -> None:
    cases = {"right": case("docker", "swarm", **SWARM), "not named": case("swarm", docker_users=["pj"], **SWARM)}
    outcomes = run_each(play, cases)
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}


ROLES = ["raspberry_pi", "docker", "swarm", "disk_space", "gitlab_runner"]
RUNS: dict[str, tuple[list[str], list[str]]] = {
    "all": ([], ROLES),
    "two": (["--tags", "swarm,gitlab_runner"], ["swarm", "gitlab_runner"]),
    "none of them": (["--tags", "always"], []),
    "tags of a playbook that imports it": (["--tags", "fleet"], ROLES),
    "one, and such tags": (["--tags", "fleet,swarm"], ROLES),
    "all but one": (["--skip-tags", "docker"], ["raspberry_pi", "swarm", "disk_space", "gitlab_runner"]),
}


@pytest.mark.parametrize("run", RUNS)
def test_site_validates_the_roles_that_run(play: Play, run: str) -> None:
    (site,) = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text())
    (task,) = (task for task in site["tasks"] if "pifleet.ci.validate_roles" in task)
    roles = task["pifleet.ci.validate_roles"]["roles"].strip().removeprefix("{{").removesuffix("}}")
    selected = {name: site["vars"][name] for name in ("pifleet_tags", "pifleet_roles")}
    shown = show(roles, vars={**selected, **task["vars"]}, tags=task["tags"])
    variables = {"_raspberry_pi_asked": True, "disk_space_state": "present"}
    arguments, validated = RUNS[run]
    assert run_each(play, {"": ([shown], variables)}, *arguments)[""].value == validated
