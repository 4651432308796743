# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role takes from a Pi's disk when the Pi leaves the fleet, and what it leaves there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from drawing import takes
from plays.cores import on_every_core
from plays.play import Play
from sizes import one_of

pytestmark = [pytest.mark.slow, takes(34, "remove_files")]

ENTRY = '[[runners]]\n  name = "mine"\n  token = "glrt-hushhushhush1234"\n'
OURS = {
    "config.toml": "# pifleet.ci: no runner is registered here\n",
    "config.toml.backup-1": ENTRY,
    "config.toml.backup-12": ENTRY,
    ".config.toml.pifleet-abc": "half",
    ".runner_system_id": "s_123456789012",
    ".restart-pending": "",
    ".reload-pending": "",
    "certs/gitlab.example.com.crt": "CA",
}
THEIRS = {
    "config.toml.backup-old": "by hand",
    "certs/gitlab.example.org.crt": "another CA",
    "photos/cat.jpg": "",
}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def put(play: Play, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = play.config.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def files(play: Play) -> dict[str, str]:
    below = play.config.parent
    return {str(path.relative_to(below)): path.read_text() for path in below.rglob("*") if path.is_file()}


def remove(play: Play, *arguments: str, **variables: Any) -> int:
    """Remove, and say how many tasks changed something. No token is shown, whatever the verbosity."""
    role = {"name": "pifleet.ci.gitlab_runner", "tasks_from": "remove_files"}
    variables = {
        "gitlab_runner_url": "https://gitlab.example.com",
        "gitlab_runner_config_dir": str(play.config.parent),
        "gitlab_runner_ca_file": "ca.pem",
        **variables,
    }
    done = play.run([{"ansible.builtin.include_role": role, "vars": variables}], *arguments, verbosity="-vvvv")
    counted = re.search(r"pi-01 +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0", done.stdout)
    assert counted, done.stdout + done.stderr
    assert "hush" not in done.stdout + done.stderr
    return int(counted[1])


def test_ours_goes_and_the_empty_directories_with_it(play: Play) -> None:
    put(play, OURS)
    assert remove(play, "--check") == 2
    assert files(play) == OURS
    assert remove(play) == 2
    assert not play.config.parent.exists()
    assert remove(play) == 0


def test_everybody_elses_stays(play: Play) -> None:
    put(play, OURS | THEIRS)
    assert remove(play) == 2
    assert files(play) == THEIRS
    assert remove(play) == 0


def test_a_certificate_that_the_role_has_not_put_there_stays(play: Play) -> None:
    put(play, OURS)
    assert remove(play, gitlab_runner_ca_file="") == 2
    assert files(play) == {"certs/gitlab.example.com.crt": "CA"}


@pytest.mark.parametrize(("content", "changes"), one_of([("CA", 3), ("another CA", 2)], "former certificate"))
def test_the_certificate_under_its_former_name_goes_if_it_is_ours(play: Play, content: str, changes: int) -> None:
    (play.directory / "ca.pem").write_text("CA")
    ours = {name.replace("gitlab.example", "GitLab.Example"): text for name, text in OURS.items()}
    put(play, {**ours, "certs/gitlab.example.com.crt": content})
    assert remove(play, gitlab_runner_url="https://GitLab.Example.com") == changes
    assert files(play) == ({} if content == "CA" else {"certs/gitlab.example.com.crt": content})
    assert play.config.parent.exists() == (content != "CA")
    assert remove(play, gitlab_runner_url="https://GitLab.Example.com") == 0


@pytest.mark.parametrize("entry", [ENTRY, 'runners = [{name = "mine", token = "glrt-hushhushhush1234"}]\n'])
def test_nothing_goes_while_somebody_has_an_entry(play: Play, entry: str) -> None:
    present = OURS | {"config.toml": f"# runners\n{entry}"}
    put(play, present)
    assert remove(play) == 0
    assert files(play) == present
