# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_register and gitlab_runner_wait in real plays: results, check mode, sentences."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import AuthMethod
from plays.cores import on_every_core, on_one_core
from registration_play import Play, actions, recap, sentence
from registration_world import PROJECT, World
from sizes import one_of

pytestmark = pytest.mark.slow

KEY = "default/pi-01/docker"
BROKEN = [
    pytest.param("", id="empty"),
    pytest.param("\0" * 40, id="zeros"),
    pytest.param("[[runners]]\nname = ", id="cut"),
]


@on_every_core
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
    for run in (foretold, done, again):
        warnings = [line for line in (run.stdout + run.stderr).splitlines() if "WARNING" in line]
        assert all(f"{world.url} is not encrypted" in line for line in warnings), warnings


def diff(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if re.match(r"[-+@ ]", line)]


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


@on_one_core
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": ""}, 'Runner "docker" of pi-01: url is missing'),
        ({"registration_token": "GR1348941hush"}, "api_token and registration_token are both set"),
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


@on_one_core
def test_several_runners_share_one_reading_of_their_file(play: Play, world: World) -> None:
    """Two creations: one reading, and for each an intent and an entry. Then nothing is to be done."""
    runners = [{"name": "docker"}, {"name": "shell", "tag_list": ["gpio"]}]
    assert recap(play.register(name=None, runners=runners)) == (1, 0)
    tags = {number: runner.tag_list for number, runner in world.gitlab.runners.items()}
    assert tags == {1: ["arm64", "rpi"], 2: ["gpio"]}
    assert play.module_executions == 5

    world.gitlab.journal.clear()
    again = play.register(name=None, runners=runners)
    assert recap(again) == (0, 0)
    assert actions(again) == []
    assert play.module_executions == 1
    assert sorted(world.requests()) == ["GET /runners/1", "GET /runners/2", *["POST /runners/verify"] * 2]

    gone = play.register(name=None, state="absent", runners=runners)
    assert actions(gone) == ["deleted", "entry_removed", "deleted", "entry_removed"]
    assert world.gitlab.runners == {}


@on_one_core
def test_the_reading_tells_whether_the_config_differs(play: Play) -> None:
    same = {"global": {"concurrent": 1}, "runners": [{"name": "docker", "executor": "docker"}]}
    tasks = [
        {**play.task(config=same), "register": "registered"},
        {"pifleet.ci.runner_config": {"path": str(play.config), **same}},
        {**play.task(config=same), "register": "again"},
        {**play.task(config={**same, "global": {"concurrent": 2}}), "register": "changed"},
        {"ansible.builtin.debug": {"msg": "{{ [registered, again, changed] | map(attribute='config_differs') }}"}},
    ]
    done = play.run(tasks, play.host.name, "-v")
    assert '"msg": [ true, false, true ]' in " ".join(done.stdout.split()), done.stdout + done.stderr


def test_a_runner_that_fails_does_not_stop_the_others(play: Play, world: World) -> None:
    done = play.register(name=None, runners=[{"name": "docker", "project_id": 4711}, {"name": "shell"}])
    assert "4711" in sentence(done)
    assert [runner.description for runner in world.gitlab.runners.values()] == ["pi-01 shell"]
    assert 'name = "shell"' in play.config.read_text()


def test_wrong_options_of_one_runner_are_seen_before_another_is_registered(play: Play, world: World) -> None:
    assert "shell" in sentence(play.register(name=None, runners=[{"name": "docker"}, {"name": "shell", "url": "x"}]))
    assert "name and runners are both given" in sentence(play.register(runners=[{"name": "docker"}]))
    assert "runners is an empty list" in sentence(play.register(name=None, runners=[]))
    assert world.gitlab.runners == {}


def test_a_file_that_does_not_parse_is_left_alone(play: Play, world: World) -> None:
    play.config.parent.mkdir()
    play.config.write_text("concurrent = \n")
    assert "line 1" in sentence(play.register())
    assert play.config.read_text() == "concurrent = \n"
    assert world.requests() == []


@on_one_core
@pytest.mark.parametrize("broken", one_of(BROKEN, "what a power cut left"))
def test_a_file_that_a_power_cut_left_is_not_taken_for_a_new_one(play: Play, world: World, broken: str) -> None:
    """Others' entries are in the content that is kept beside it."""
    play.register()
    kept = '[[runners]]\nname = "mine"\nurl = "https://gitlab.example.org"\ntoken = "glrt-mine"\n'
    kept += play.config.read_text()
    backup = play.config.with_name("config.toml.backup-1")
    backup.write_text(kept)
    play.config.write_text(broken)
    world.gitlab.journal.clear()
    assert "1 backups are kept beside it; recover: true restores the newest valid one" in sentence(play.register())
    assert (play.config.read_text(), world.requests()) == (broken, [])

    foretold = play.register("--check", recover=True)
    assert (recap(foretold), play.config.read_text()) == ((1, 0), broken)
    done = play.register(recover=True)
    assert (recap(done), play.config.read_text()) == ((1, 0), kept)
    assert "backup-1 is restored" in " ".join((done.stdout + done.stderr).split())
    assert recap(play.register(recover=True)) == (0, 0)
    assert len(world.gitlab.runners) == 1


@on_one_core
def test_an_entry_that_was_taken_out_can_come_back(play: Play, world: World) -> None:
    """What is left is no empty file, which beside the content that runner_config kept would be a power cut's."""
    play.register()
    configure = {"path": str(play.config), "runners": [{"name": "docker", "limit": 1}]}
    assert recap(play.run([{"pifleet.ci.runner_config": configure}], "pi-01", "-v")) == (1, 0)
    assert play.config.with_name("config.toml.backup-1").exists()
    assert recap(play.register(state="absent")) == (1, 0)
    assert recap(play.register(state="absent")) == (0, 0)
    assert recap(play.register()) == (1, 0)
    assert recap(play.register()) == (0, 0)
    assert len(world.gitlab.runners) == 1


@on_one_core
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written(play: Play, world: World) -> None:
    play.config.parent.mkdir(mode=0o500)
    assert "config.toml" in sentence(play.register())
    assert world.gitlab.runners == {}


def test_options_that_cannot_be_kept_are_warned_of(play: Play, world: World) -> None:
    runner = world.gitlab.create_runner("project_type", owner=world.project)
    place = {"runner_type": "project_type", "project_id": PROJECT}
    done = play.register(way=AuthMethod.RUNNER, token=runner.token, tag_list=["rpi"], **place)
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
    assert 'Runner 1 ("docker") of system id' in sentence(silent)
    assert "pi-01" in silent.stdout + silent.stderr

    runner = world.gitlab.runners[1]
    (system_id,) = runner.managers
    world.gitlab.clock.advance(5)
    world.heartbeat(1, system_id)
    world.gitlab.journal.clear()
    assert recap(waiting(play, world, changed=False)) == (0, 0)
    assert world.requests() == ["GET /runners/1", "POST /runners/verify"]
    assert play.module_executions == 1


@on_one_core
def test_each_runner_is_asked_about_in_its_own_way(play: Play, world: World) -> None:
    """One with a token of its own is not asked about, for the API token may not see it; one has a GitLab of its own."""
    recap(play.register())
    by_hand = {"id": 77, "name": "by hand", "status": None, "version": None, "contacted_at": None, "verified_at": None}
    asked = {"runners": ["{{ done.runner }}", by_hand], "connections": [{}, {"api_token": ""}]}
    world.gitlab.journal.clear()
    assert 'Runner 1 ("docker") of system id' in sentence(waiting(play, world, **asked))
    assert {request for request in world.requests() if "77" in request} == set()
    assert recap(waiting(play, world, runners=[by_hand], connections=[{"api_token": ""}])) == (0, 0)
    elsewhere = {"runners": ["{{ done.runner }}"], "connections": [{"url": "http://127.0.0.1:9"}]}
    assert "127.0.0.1:9" in sentence(waiting(play, world, **elsewhere))
    assert "connections has 1 items for 2 runners" in sentence(waiting(play, world, **{**asked, "connections": [{}]}))
