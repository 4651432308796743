# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_registry_ca_files: which certificates are installed or removed, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plays.cores import on_every_core, on_one_core
from plays.play import Play
from plays.table import assert_refused
from test_engine_decisions import a_file, all_decided, decided, host

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


def decisions(play: Play, cases: dict[str, tuple[dict[str, str | None], dict[str, str]]]) -> dict[str, list[Any]]:
    """For each case the certificates that are wanted, and the content of those that are there."""
    apt = decided(play, host(), "apt_content")[0]
    gathered = {}
    for name, (ca_files, found) in cases.items():
        paths = {f"/etc/docker/certs.d/{registry}/ca.crt": None for registry in ca_files}
        present = {path: a_file(content) for path, content in found.items()}
        files = host(**{**paths, **present, "/etc/apt/apt.conf.d/52pifleet-ci": a_file(apt)})
        gathered[name] = (files, {"docker_registry_ca_files": ca_files})
    return all_decided(play, gathered, *NAMES)


def test_what_is_missing_or_other_is_installed_and_nobody_stops_for_it(play: Play) -> None:
    wanted: dict[str, str | None] = {REGISTRY: "files/ca.crt", OTHER: str(play.directory / "files" / "ca.crt")}
    found = {"missing": {}, "another": {PATH: PEM, OTHER_PATH: "another"}, "there": {PATH: PEM, OTHER_PATH: PEM}}
    assert decisions(play, {name: (wanted, files) for name, files in found.items()}) == {
        "missing": [True, False, [REGISTRY, OTHER], []],
        "another": [True, False, [OTHER], []],
        "there": [False, False, [], []],
    }


@on_one_core
def test_null_removes_what_is_there(play: Play) -> None:
    wanted: dict[str, str | None] = {REGISTRY: "files/ca.crt", OTHER: None}
    cases = {"there": (wanted, {PATH: PEM, OTHER_PATH: PEM}), "gone": (wanted, {PATH: PEM})}
    found = decisions(play, cases)
    assert found == {"there": [True, False, [], [OTHER_PATH]], "gone": [False, False, [], []]}


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "a URL": ({"https://registry.example.com": "files/ca.crt"}, "must be registries as they stand in names of images"),
    "a path": ({"registry.example.com/..": "files/ca.crt"}, "they are registry.example.com/.."),
    "no such file": (
        {REGISTRY: "files/nowhere.crt"}, "names files/nowhere.crt, but there is no such file on the control node"
    ),
    "no PEM": ({REGISTRY: "files/no.crt"}, "must name certificates in PEM form (-----BEGIN CERTIFICATE-----)"),
}  # fmt: skip


def test_one_sentence_before_anything_is_touched(play: Play) -> None:
    include = {"ansible.builtin.include_role": {"name": "pifleet.ci.docker", "tasks_from": "preflight"}}
    cases = {
        name: ([include], {"pifleet_host": host(), "docker_registry_ca_files": ca_files})
        for name, (ca_files, _sentence) in REFUSED.items()
    }
    assert_refused(play, cases, {name: [sentence] for name, (_ca_files, sentence) in REFUSED.items()})
