# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users have it: installed from the artifact, named in full, outside of any checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from lab.fleet import Lab, Play
from lab.host import ROOT

PI = "pi-02"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with nothing but the installed collection and what it depends on."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run(
        ["ansible-galaxy", "collection", "build", "--output-path", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    artifact = next(folder.glob("pifleet-ci-*.tar.gz"))
    subprocess.run(
        ["ansible-galaxy", "collection", "install", "--no-deps", "-p", str(folder / "collections"), str(artifact)],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections")},
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    shutil.copytree(
        ROOT / ".cache/collections/ansible_collections/community", folder / "collections/ansible_collections/community"
    )
    (folder / "ansible.cfg").touch()
    return folder


def play_elsewhere(lab: Lab, folder: Path, playbook: str, *arguments: str) -> Play:
    return lab.play(
        "--limit",
        PI,
        *arguments,
        playbook=playbook,
        cwd=folder,
        ANSIBLE_CONFIG=str(folder / "ansible.cfg"),
        ANSIBLE_COLLECTIONS_PATH=str(folder / "collections"),
    )


def unchanged(play: Play) -> bool:
    assert play.code == 0, play.output
    return {host: numbers["changed"] for host, numbers in play.recap.items()} == {PI: 0}


def test_site_by_its_full_name(lab: Lab, elsewhere: Path) -> None:
    play = play_elsewhere(lab, elsewhere, "pifleet.ci.site", "-vvv")
    assert unchanged(play)
    assert "SSH: EXEC" in play.output
    assert " PUT " not in play.output, "a module was transferred in a file, with what it was given"


def test_site_inside_another_playbook(lab: Lab, elsewhere: Path) -> None:
    playbook = elsewhere / "everything.yml"
    playbook.write_text("- import_playbook: pifleet.ci.site\n")
    assert unchanged(play_elsewhere(lab, elsewhere, str(playbook)))
