# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_register and gitlab_runner_wait in real plays: results, check mode, secrecy at -vvvv, sentences.

PIFLEET_ANSIBLE_PLAYBOOKS names other ansible-playbook programs to run the same plays with, separated by colons.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from fake_gitlab import Fault
from registration_play import PLAYBOOKS, Play, actions, recap, sentence
from registration_world import World

pytestmark = pytest.mark.slow

KEY = "default/pi-01/docker"


@pytest.fixture(params=PLAYBOOKS.split(":"), ids=lambda program: Path(program).parents[1].name)
def play(request: pytest.FixtureRequest, tmp_path: Path, world: World) -> Play:
    return Play(request.param, tmp_path, world)


def test_check_then_do_then_again(play: Play, world: World) -> None:
    foretold = play.register("--check", "--diff")
    assert recap(foretold) == (1, 0)
    assert world.gitlab.journal.writes() == []
    assert not play.config.exists()
    assert play.module_executions == 1

    done = play.register("--diff")
    assert recap(done) == (1, 0)
    assert actions(foretold) == actions(done) == ["created", "entry_written"]
    assert diff(foretold) == diff(done)
    assert play.module_executions == 3
    assert stat.S_IMODE(play.config.stat().st_mode) == 0o600

    content = play.config.read_bytes()
    world.gitlab.journal.clear()
    again = play.register("--diff")
    assert recap(again) == (0, 0)
    assert play.module_executions == 1
    assert world.requests() == ["GET /runners/1", "POST /runners/verify"]
    assert play.config.read_bytes() == content


def diff(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if re.match(r"[-+@ ]", line)]


def test_nothing_secret_at_vvvv(play: Play, world: World) -> None:
    """Of every token that was ever valid: not in the output, not in a file but config.toml, not in an argument."""
    tokens = {world.token}
    outputs = []
    for disturb in (
        lambda: None,
        lambda: world.gitlab.reset_runner_token(1),
        lambda: play.config.unlink(),
        lambda: world.gitlab.edit_runner(1, tag_list=["odd"]),
        lambda: world.gitlab.delete_runner(1),
        lambda: world.gitlab.faults.add(Fault("POST", "/runners/verify", reply="captive_portal")),
        lambda: play.config.write_text("[[runners]]\ntoken = 'glrt-broken'\nname = 'docker"),
    ):
        disturb()
        tokens |= {runner.token for runner in world.gitlab.runners.values()}
        done = play.register("--diff", verbosity="-vvvv")
        outputs.append(done.stdout + done.stderr)
        tokens |= {runner.token for runner in world.gitlab.runners.values()}
    assert len(tokens) == 1 + 5
    for text in [*outputs, *files(play.directory, leave_out=play.config)]:
        for token in {*tokens, "glrt-broken"}:
            assert token not in text.replace(f'"api_token": "{world.token}"', "")


def files(directory: Path, leave_out: Path) -> list[str]:
    """All that is left on "host" and control node; the playbook holds the API token, as a vault would."""
    found = [path for path in directory.rglob("*") if path.is_file() and path != leave_out]
    return [path.read_text(errors="replace") for path in found]


def test_the_cover_of_every_attribute(play: Play, world: World) -> None:
    """Templated values arrive as ansible-core's tagged types, and strings where numbers are meant."""
    options = {
        "project_id": "{{ '42' }}",
        "tag_list": "{{ ['b', 'a'] }}",
        "run_untagged": "{{ 'no' }}",
        "locked": "{{ true }}",
        "paused": "yes",
        "access_level": "ref_protected",
        "maximum_timeout": "{{ 3600 }}",
        "maintenance_note": "Shelf {{ 1 + 2 }}",
        "description": "{{ inventory_hostname }} in the cellar",
    }
    assert recap(play.register(**options)) == (1, 0)
    runner = world.gitlab.runners[1]
    assert (runner.tag_list, runner.run_untagged, runner.locked, runner.paused) == (["a", "b"], False, True, True)
    assert (runner.access_level, runner.maximum_timeout) == ("ref_protected", 3600)
    assert runner.description == "pi-01 in the cellar"
    assert runner.maintenance_note == f"Shelf 3\npifleet.ci: {KEY}"
    assert recap(play.register(**options)) == (0, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": ""}, 'Runner "docker" of pi-01: url is missing'),
        ({"token": "glrt-hush"}, "api_token and token are both set"),
        ({"tag_list": [], "run_untagged": False}, "tag_list is empty and run_untagged is false"),
        ({"ca_path": "nowhere.pem"}, "nowhere.pem is not a file on the control node"),
        ({"url": "http://127.0.0.1:9"}, 'runner "docker" of pi-01: Could not list the runners of project 42 at'),
        ({"project_id": 4242}, "is the group_id or project_id right"),
    ],
)
def test_bad_input_is_one_sentence(
    play: Play, world: World, options: dict[str, object], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = play.register(**options)
    assert words in sentence(done)
    assert "Traceback" not in done.stdout + done.stderr
    assert "hush" not in done.stdout + done.stderr
    assert not play.config.exists()
    assert world.gitlab.journal.writes() == []


def test_a_file_that_does_not_parse_is_left_alone(play: Play, world: World) -> None:
    play.config.parent.mkdir()
    play.config.write_text("concurrent = \n")
    assert "line 1" in sentence(play.register())
    assert play.config.read_text() == "concurrent = \n"
    assert world.requests() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written(play: Play, world: World) -> None:
    play.config.parent.mkdir(mode=0o500)
    assert "config.toml" in sentence(play.register())
    assert world.gitlab.runners == {}


def test_options_that_cannot_be_kept_are_warned_of(play: Play, world: World) -> None:
    runner = world.gitlab.create_runner("project_type", owner=world.project)
    done = play.register(api_token="", token=runner.token)
    assert recap(done) == (1, 0)
    text = " ".join((done.stdout + done.stderr).split())
    assert "runner_type, project_id, tag_list can only be kept in GitLab with api_token" in text


def waiting(play: Play, world: World, **options: object) -> subprocess.CompletedProcess[str]:
    register = {"pifleet.ci.gitlab_runner_register": world.options(config_path=str(play.config))}
    wait = {
        "url": world.url,
        "api_token": world.token,
        "runners": ["{{ done.runner }}"],
        "system_id": "{{ done.system_id }}",
        "timeout": 1,
        **options,
    }
    play.calls.write_text("")
    return play.run(
        [{**register, "register": "done"}, {"pifleet.ci.gitlab_runner_wait": wait, "register": "waited"}], "pi-01", "-v"
    )


def test_waiting_ends_when_the_process_was_heard_of(play: Play, world: World) -> None:
    recap(play.register())
    silent = waiting(play, world)
    assert 'GitLab has not heard from runner 1 ("docker")' in sentence(silent)
    assert "pi-01" in silent.stdout + silent.stderr

    runner = world.gitlab.runners[1]
    (system_id,) = runner.managers
    world.gitlab.clock.advance(5)
    world.heartbeat(1, system_id)
    world.gitlab.journal.clear()
    assert recap(waiting(play, world, changed=False)) == (0, 0)
    assert world.requests() == ["GET /runners/1", "POST /runners/verify"]
    assert play.module_executions == 1
