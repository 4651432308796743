# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_registry_ca_files: which certificates are installed or removed, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core, on_one_core
from plays.play import Play
from test_engine_decisions import a_file, decided, host

pytestmark = pytest.mark.slow

REGISTRY, OTHER = "registry.example.com:5000", "mirror.example.com"
PATH, OTHER_PATH = (f"/etc/docker/certs.d/{name}/ca.crt" for name in (REGISTRY, OTHER))
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
NAMES = ("differs", "disrupts", "differing_registries", "removed_registry_cas")


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "ca.crt").write_text(PEM)
    (tmp_path / "files" / "no.crt").write_text("MIIB")
    return Play(request.param, tmp_path)


def decisions(play: Play, ca_files: dict[str, str | None], found: dict[str, str] | None = None) -> list[Any]:
    present = {path: a_file(content) for path, content in (found or {}).items()}
    paths = {f"/etc/docker/certs.d/{registry}/ca.crt": None for registry in ca_files}
    apt = decided(play, host(), "apt_content")[0]
    gathered = host(**{**paths, **present, "/etc/apt/apt.conf.d/52pifleet-ci": a_file(apt)})
    return decided(play, gathered, *NAMES, docker_registry_ca_files=ca_files)


def test_what_is_missing_or_other_is_installed_and_nobody_stops_for_it(play: Play) -> None:
    wanted: dict[str, str | None] = {REGISTRY: "files/ca.crt", OTHER: str(play.directory / "files" / "ca.crt")}
    assert decisions(play, wanted) == [True, False, [REGISTRY, OTHER], []]
    assert decisions(play, wanted, {PATH: PEM, OTHER_PATH: "another"}) == [True, False, [OTHER], []]
    assert decisions(play, wanted, {PATH: PEM, OTHER_PATH: PEM}) == [False, False, [], []]


@on_one_core
def test_null_removes_what_is_there(play: Play) -> None:
    wanted: dict[str, str | None] = {REGISTRY: "files/ca.crt", OTHER: None}
    assert decisions(play, wanted, {PATH: PEM, OTHER_PATH: PEM}) == [True, False, [], [OTHER_PATH]]
    assert decisions(play, wanted, {PATH: PEM}) == [False, False, [], []]


@pytest.mark.parametrize(
    ("ca_files", "sentence"),
    [
        ({"https://registry.example.com": "files/ca.crt"}, "must be registries as they stand in names of images"),
        ({"registry.example.com/..": "files/ca.crt"}, "they are registry.example.com/.."),
        ({REGISTRY: "files/nowhere.crt"}, "names files/nowhere.crt, but there is no such file on the control node"),
        ({REGISTRY: "files/no.crt"}, "must name certificates in PEM form (-----BEGIN CERTIFICATE-----)"),
    ],
    ids=["a URL", "a path", "no such file", "no PEM"],
)
def test_one_sentence_before_anything_is_touched(play: Play, ca_files: dict[str, str], sentence: str) -> None:
    include = {"ansible.builtin.include_role": {"name": "pifleet.ci.docker", "tasks_from": "preflight"}}
    variables = {"pifleet_host": host(), "docker_registry_ca_files": ca_files}
    done = play.run_plays([{"hosts": "all", "tasks": [include], "vars": variables}])
    assert play.module_executions == 0
    assert "failed=1" in done.stdout, done.stdout + done.stderr
    assert sentence in " ".join(done.stdout.split())
