# SPDX-License-Identifier: GPL-3.0-or-later
"""The real gitlab-runner (19.3 or later, on PATH) accepts what we write and refuses what we refuse."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import fake_gitlab
import pytest
from ansible_collections.pifleet.ci.plugins.module_utils import _atomic_file as durable
from ansible_collections.pifleet.ci.plugins.module_utils import _system_id
from ansible_collections.pifleet.ci.plugins.plugin_utils._config import merge as config
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.schema import Key
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.render import render_value
from fake_gitlab import FakeGitLab
from sizes import EXAMPLES, dice
from unit.config.strategies import CONNECTION, LEAVES, SCHEMA, Layout, _absorb, nested, sample

DOCUMENTS = EXAMPLES // 10
ENTRY = {"name": "one", "url": "https://gitlab.example.com", "token": "glrt-x", "executor": "docker"}
# lint wants these beside their neighbours, and their content has a grammar of its own
NEIGHBOURS: dict[str, Any] = {
    "runners.referees.metrics.queries": ["x"],
    "runners.monitoring.job_queuing_durations.periods": ["* * * * * * *"],
    "runners.monitoring.job_queuing_durations.timezone": "UTC",
    "runners.machine.autoscaling.Periods": ["* * * * * * *"],
    "runners.machine.autoscaling.Timezone": "UTC",
    "runners.kubernetes.volumes.host_path.mount_propagation": "None",
    "runners.kubernetes.volumes.pvc.mount_propagation": "None",
    "runners.kubernetes.volumes.empty_dir.mount_propagation": "None",
    "runners.kubernetes.dns_config.options.value": "x",
    "runners.kubernetes.autoscaler.policy.preemptive_mode": True,
    "runners.autoscaler.policy.preemptive_mode": True,
    "runners.autoscaler.plugin_config": {},
    "runners.autoscaler.vm_isolation.nesting_config": {},
}
RELEASED = [
    key
    for key in LEAVES
    if key.name not in CONNECTION and key.path != "runners.name" and not key.since.startswith("unreleased")
]
# what makes the whole file fail to load, and how it looks in TOML
REFUSED: dict[str, list[Any]] = {
    "string": [1, True, ["x"]],
    "integer": ["1", 1.5, True],
    "bool": ["true", 1],
    "float": ["1.5", True],
    "duration": ["1 h 30 min", "1d", "900", ""],
    "array<string>": ["x", [1]],
    "array<integer>": [1, ["1"]],
    "array<float>": [1.5, ["1.5"]],
    # another thing in place of such a table is silently ignored by it; we refuse that too
    "table<string,string>": [{"abc": 1}],
    "table<string,integer>": [{"abc": "1"}],
    "table<string,bool>": [{"abc": "true"}],
    "table<string,array<string>>": [{"abc": "x"}],
}


@pytest.fixture(scope="module")
def runner() -> str:
    program = shutil.which("gitlab-runner")
    if not program:
        pytest.skip("gitlab-runner is not on PATH")
    if subprocess.run([program, "lint", "--help"], capture_output=True, check=False).returncode:
        pytest.skip("this gitlab-runner has no lint")
    return program


def lint(runner: str, path: Path, text: str) -> str:
    """What lint has against ``text``; empty when nothing."""
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([runner, "lint", "-c", str(path)], capture_output=True, text=True, check=False, timeout=60)
    return "" if done.returncode == 0 else re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


def complete(keys: list[Key], rng: Random) -> dict[str, Any]:
    """Settings and an entry with ``keys``, and with the neighbours that lint wants beside them."""
    wish: dict[str, Any] = {"settings": {}, "runners": [dict(ENTRY)]}
    parents = {key.parent for key in keys}
    wanted = {key.path: key for key in keys}
    wanted |= {path: SCHEMA.keys[path] for path in NEIGHBOURS if any(_within(each, path) for each in parents)}
    elements: dict[str, dict[str, Any]] = {}
    for path, key in wanted.items():
        value = NEIGHBOURS[path] if path in NEIGHBOURS else sample(key, rng)
        table = SCHEMA.find(key.parent)
        if table and table.type == "array_of_tables" and table.path != "runners":
            elements.setdefault(table.path, {})[key.name] = value
            required = [child for child in SCHEMA.children[table.path] if child.required]
            elements[table.path] |= {child.name: sample(child, rng) for child in required}
            value, key = [elements[table.path]], table
        if _in_list(key):
            continue
        given = nested(key, value)
        _absorb(wish["settings"], given["settings"])
        _absorb(wish["runners"][0], given["runners"][0] if given["runners"] else {})
    wish["runners"][0] |= {"executor": "docker"}
    return wish


def _within(table: str, path: str) -> bool:
    parent = path.rpartition(".")[0]
    return table == parent or table.startswith(f"{parent}.")


def _in_list(key: Key) -> bool:
    """Whether a list of tables lies further out; those of Kubernetes' affinity are made of nothing else."""
    parents = [key.parent.rsplit(".", cut)[0] for cut in range(key.parent.count(".") + 1)]
    return any(
        table and table.type == "array_of_tables" and table.path != "runners" for table in map(SCHEMA.find, parents)
    )


def test_a_document_with_every_key(runner: str, tmp_path: Path) -> None:
    wish = complete(RELEASED, Random(1))
    assert lint(runner, tmp_path / "config.toml", config.merge("", append_missing=True, **wish)) == ""


@pytest.mark.parametrize("seed", range(DOCUMENTS))
def test_merged_documents(runner: str, tmp_path: Path, seed: int) -> None:
    rng = dice(f"merged {seed}")
    before, after = (complete(rng.sample(RELEASED, 12), rng) for _ in range(2))
    text = Layout(rng).document(before["settings"] | {"runners": before["runners"]})
    assert lint(runner, tmp_path / "before.toml", text) == ""
    merged = config.merge(text, **after)
    assert lint(runner, tmp_path / "after.toml", merged) == ""


@pytest.mark.parametrize("seed", range(DOCUMENTS))
def test_what_it_rewrites_is_no_change(runner: str, tmp_path: Path, seed: int) -> None:
    """It saves the whole file when it gets another token, in its own words."""
    rng = dice(f"rewritten {seed}")
    # of these it drops whole tables that hold nothing but zeros
    elsewhere = ("runners.kubernetes", "runners.autoscaler", "experimental")
    wish = complete(rng.sample([key for key in RELEASED if not key.path.startswith(elsewhere)], 25), rng)
    path = tmp_path / "config.toml"
    with fake_gitlab.serving(FakeGitLab()) as server:
        here = server.gitlab.create_runner("instance_type")
        entry = wish["runners"][0] | {"url": server.url, "token": here.token}
        before = config.merge("", settings=wish["settings"], runners=[entry], append_missing=True)
        path.write_text(before, encoding="utf-8")
        command = [runner, "reset-token", "-c", str(path), "--name", entry["name"]]
        subprocess.run(command, capture_output=True, check=True, timeout=60)
        declared = {**entry, "token": here.token}
    rewritten = path.read_text(encoding="utf-8")
    assert rewritten != before
    assert config.merge(rewritten, settings=wish["settings"], runners=[declared]) == rewritten


@pytest.mark.parametrize("kind", REFUSED)
def test_it_refuses_the_types_that_we_refuse(runner: str, tmp_path: Path, kind: str) -> None:
    keys = [key for key in RELEASED if key.type == kind and not _in_list(key)]
    key = next((key for key in keys if key.parent in ("", "runners", "runners.docker")), keys[0])
    for wrong in REFUSED[kind]:
        given = nested(key, wrong)
        entry = dict(ENTRY) | (given["runners"][0] if given["runners"] else {})
        text = config.merge("", settings=given["settings"], runners=[entry], append_missing=True)
        assert lint(runner, tmp_path / "config.toml", text), f"{key.path} = {render_value(wrong)}"


class Running:
    """gitlab-runner as a process, with what it says."""

    def __init__(self, program: str, config_path: Path, log: Path) -> None:
        self.log = log
        command = [program, "run", "-c", str(config_path), "--working-directory", str(config_path.parent)]
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | {"NO_COLOR": "1"})

    def loads(self, count: int, patience: float = 12) -> list[str]:
        """The max_builds of each configuration loaded so far, once there are ``count`` of them or patience ends."""
        deadline = time.monotonic() + patience
        while True:
            text = re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text())
            found = re.findall(r"Configuration loaded .*max_builds=(\d+)", text)
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.1)


@pytest.fixture
def running(runner: str, tmp_path: Path) -> Iterator[tuple[Running, str]]:
    entry = ENTRY | {"url": "http://127.0.0.1:9", "executor": "shell"}
    path = tmp_path / "config.toml"
    durable.replace(
        str(path), config.merge("", settings={"concurrent": 2}, runners=[entry], append_missing=True).encode()
    )
    started = Running(runner, path, tmp_path / "log")
    try:
        assert started.loads(1) == ["2"]
        yield started, str(path)
    finally:
        started.process.terminate()
        started.process.wait(30)


def test_it_starts_and_notices_a_replacement(running: tuple[Running, str]) -> None:
    """What `takes_effect: automatically` says."""
    process, path = running
    present = durable.read(path).content or b""
    durable.replace(path, config.merge(present.decode(), settings={"concurrent": 3}, runners=[]).encode())
    assert process.loads(2) == ["2", "3"]


def test_it_notices_a_replacement_although_the_clock_went_back(running: tuple[Running, str]) -> None:
    process, path = running
    os.utime(path, (4_000_000_000, 4_000_000_000))
    assert process.loads(2) == ["2", "2"]
    present = durable.read(path).content or b""
    durable.replace(path, config.merge(present.decode(), settings={"concurrent": 3}, runners=[]).encode())
    assert process.loads(3) == ["2", "2", "3"]


def test_it_makes_the_system_id_that_we_make_from_the_machine_id(
    running: tuple[Running, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = Path(running[1]).with_name(".runner_system_id").read_text()
    monkeypatch.setattr(_system_id, "SERIALS", ())
    if not Path(_system_id.MACHINE_ID).exists():
        pytest.skip("this machine has no machine-id")
    assert _system_id.find_system_id("/nowhere") == (theirs, False)
