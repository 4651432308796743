# SPDX-License-Identifier: GPL-3.0-or-later
"""runner_config and runner_config_file in real plays, over the real ssh connection plugin."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plays.play
import pytest
from drawing import takes
from plays.cores import on_every_core, on_one_core
from plays.play import ROOT
from sizes import one_of

pytestmark = [pytest.mark.slow, takes(56, "runner_config_plays")]

TOKEN, VARIABLE, NEW_VARIABLE = "glrt-hushhushhush1234", "hush-of-the-file", "hush-of-the-inventory"
CONFIG = f"""# by hand
concurrent = 1
check_interval = 0

[[runners]]
  name = "docker"
  url = "https://gitlab.example.com"
  id = 7
  token = "{TOKEN}"  # keep
  token_expires_at = 0001-01-01T00:00:00Z
  executor = "docker"
  environment = ["KEY={VARIABLE}"]
  strange = "kept"
  [runners.docker]
    image = "debian:bullseye"
    shm_size = 0
"""
BROKEN = [
    pytest.param("", id="empty"),
    pytest.param("\0" * 40, id="zeros"),
    pytest.param(CONFIG[:-60], id="cut"),
]
WANTED: dict[str, Any] = {
    "global": {"concurrent": "{{ '2' }}", "check_interval": 0},
    "runners": [
        {
            "name": "docker",
            "limit": "{{ 1 + 1 }}",
            "environment": [f"KEY={NEW_VARIABLE}"],
            "docker": {"image": "debian:{{ 'bookworm' }}", "pull_policy": ["if-not-present"]},
        }
    ],
}


class Play(plays.play.Play):
    """Runs one task."""

    def run_task(self, task: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run([{"register": "done", **task}], *arguments)

    def configure(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run_task({"pifleet.ci.runner_config": {"path": str(self.config), **WANTED, **options}}, *arguments)

    def write(self, content: str, mode: int = 0o600) -> None:
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(content)
        self.config.chmod(mode)

    @property
    def contents(self) -> dict[str, str]:
        return {str(path.relative_to(self.directory)): path.read_text() for path in self.directory.glob("etc/**/*.*")}


@on_every_core
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    return Play(request.param, tmp_path)


def recap(done: subprocess.CompletedProcess[str]) -> tuple[int, int]:
    counted = re.search(r"pi-01 +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=(\d+)", done.stdout)
    assert counted, done.stdout + done.stderr
    return int(counted[1]), int(counted[2])


def message(done: subprocess.CompletedProcess[str]) -> str:
    assert recap(done) == (0, 1)
    return " ".join((done.stdout + done.stderr).split())


def test_a_change_and_then_none(play: Play) -> None:
    play.write(CONFIG)
    first = play.configure("--diff")
    assert recap(first) == (1, 0), first.stdout + first.stderr
    assert '"takes_effect": "automatically"' in first.stdout
    assert play.module_executions == 2
    written = play.config.read_text()
    assert written == CONFIG.replace("concurrent = 1", "concurrent = 2").replace(VARIABLE, NEW_VARIABLE).replace(
        'strange = "kept"\n', 'strange = "kept"\n  limit = 2\n'
    ).replace("bullseye", "bookworm").replace("shm_size = 0\n", 'shm_size = 0\n    pull_policy = ["if-not-present"]\n')
    assert play.contents["etc/config.toml.backup-1"] == CONFIG
    assert {stat.S_IMODE(path.stat().st_mode) for path in play.config.parent.iterdir()} == {0o600}
    for line in ("-concurrent = 1", "+concurrent = 2", '+  environment = ["KEY=******** (changed)"]'):
        assert line in first.stdout
    before = play.config.stat().st_ctime_ns
    second = play.configure("--diff")
    assert recap(second) == (0, 0)
    assert play.module_executions == 1, "what has not changed costs one module execution"
    assert (play.config.stat().st_ctime_ns, play.config.read_text()) == (before, written)
    for run in (first, second):
        assert "WARNING" not in run.stdout + run.stderr


def test_check_mode_on_a_bare_pi(play: Play) -> None:
    done = play.configure("--check", "--diff")
    assert recap(done) == (1, 0), done.stdout + done.stderr
    assert '+  name = "docker"' in done.stdout
    assert play.contents == {}
    assert not play.config.parent.exists()


@on_one_core
def test_check_mode_predicts_and_writes_nothing(play: Play) -> None:
    play.write(CONFIG)
    assert recap(play.configure("--check")) == (1, 0)
    assert play.contents == {"etc/config.toml": CONFIG}
    play.configure()
    assert recap(play.configure("--check")) == (0, 0)


@on_one_core
def test_a_file_that_others_can_read_is_closed(play: Play) -> None:
    play.write(CONFIG)
    play.configure()
    for exposed, closed in ((0o644, 0o640), (0o606, 0o600)):
        play.config.chmod(exposed)
        done = play.configure("--diff")
        assert (recap(done), stat.S_IMODE(play.config.stat().st_mode)) == ((1, 0), closed)
        assert '"takes_effect": "unchanged"' in done.stdout
        assert f"-mode {exposed:04o}" in done.stdout
        assert f"+mode {closed:04o}" in done.stdout


@on_one_core
def test_a_runner_that_is_not_root_can_go_on_reading(play: Play) -> None:
    """Owner and group stay, whatever is written; the backup is nobody's but the owner's."""
    play.write(CONFIG, mode=0o640)
    if os.geteuid() == 0:
        os.chown(play.config, 1234, 2345)
    before = play.config.stat()
    assert recap(play.configure()) == (1, 0)
    after, kept = play.config.stat(), play.config.with_name("config.toml.backup-1").stat()
    system_id = play.config.with_name(".runner_system_id").stat()
    assert {(each.st_uid, each.st_gid) for each in (after, kept, system_id)} == {(before.st_uid, before.st_gid)}
    assert [stat.S_IMODE(each.st_mode) for each in (after, kept, system_id)] == [0o640, 0o600, 0o640]


def test_a_restart_stays_needed_until_somebody_says_that_it_was_done(play: Play) -> None:
    play.write(CONFIG)
    marker = play.config.with_name(".restart-pending")
    listen = {"listen_address": ":9252"}
    assert '"takes_effect": "after_restart"' in play.configure("--check", **{"global": listen}).stdout
    assert not marker.exists()
    assert recap(play.configure(**{"global": listen})) == (1, 0)
    assert (marker.read_text(), stat.S_IMODE(marker.stat().st_mode)) == ("", 0o600)
    again = play.configure(**{"global": listen})
    assert (recap(again), play.module_executions) == ((0, 0), 1)
    assert '"takes_effect": "after_restart"' in again.stdout
    marker.unlink()
    assert '"takes_effect": "unchanged"' in play.configure(**{"global": listen}).stdout


@on_one_core
def test_each_host_is_warned_of(play: Play) -> None:
    play.write(CONFIG)
    task = {"pifleet.ci.runner_config": {"path": str(play.config), "unknown_keys": "warn", "global": {"brand_new": 1}}}
    done = play.run_plays([{"hosts": "all", "tasks": [task]}], "--check", hosts=("pi-01", "pi-02"))
    said = " ".join((done.stdout + done.stderr).split())
    for host in ("pi-01", "pi-02"):
        assert f"{host}: brand_new is not a key that GitLab Runner" in said


@on_one_core
@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        (
            CONFIG,
            {"global": {"concurent": 1}},
            "concurent is not a key that GitLab Runner 19.3 knows; the nearest is conc",
        ),
        (CONFIG, {"global": {"concurrent": "many"}}, "concurrent must be an integer, not a string"),
        (
            CONFIG,
            {"runners": [{"name": "shell"}]},
            "there is no [[runners]] entry named 'shell' in it; register it first",
        ),
        (CONFIG, {"runners": [{"name": "docker", "token": TOKEN}]}, "is not a setting: registration writes it"),
        ("concurrent = \n", {}, "config.toml is not valid TOML: Invalid value (at line 1, column 14)"),
        ("[runners]\n", {}, "write [[runners]]"),
        (CONFIG.replace("docker", "x\x00"), {}, "config.toml is not valid TOML"),
    ],
    ids=["unknown key", "wrong type", "not registered", "token", "no TOML", "no array", "zero bytes"],
)
def test_bad_input_is_one_sentence(play: Play, content: str, options: dict[str, Any], sentence: str) -> None:
    play.write(content)
    done = play.configure(**options)
    assert sentence in message(done)
    assert TOKEN not in done.stdout + done.stderr
    assert play.contents == {"etc/config.toml": content}


@on_one_core
@pytest.mark.parametrize("broken", one_of(BROKEN, "settings after a power cut"))
def test_recovery_after_a_power_cut(play: Play, broken: str) -> None:
    play.write(CONFIG)
    play.configure()
    whole = play.config.read_text()
    play.configure(**{"global": {"concurrent": 3}})
    play.write(broken)
    assert "recover: true restores the newest valid one" in message(play.configure())
    assert play.config.read_text() == broken
    done = play.configure(recover=True)
    assert recap(done) == (1, 0)
    assert "was empty or corrupt; the backup" in " ".join((done.stdout + done.stderr).split())
    assert play.config.read_text() == whole
    assert recap(play.configure(recover=True)) == (0, 0)


def test_unknown_keys_can_be_let_through(play: Play) -> None:
    play.write(CONFIG)
    done = play.configure(unknown_keys="warn", **{"global": {"brand_new": 1}})
    assert recap(done) == (1, 0)
    assert "brand_new is not a key that GitLab Runner" in " ".join((done.stdout + done.stderr).split())
    assert "brand_new = 1\n" in play.config.read_text()


def certificate(play: Play, content: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    task = {"path": str(play.directory / "etc" / "certs" / "gitlab.crt"), "content": content, "mode": "0644"}
    return lambda *arguments: play.run_task({"pifleet.ci.runner_config_file": task}, *arguments)


@on_one_core
def test_a_certificate_is_installed_in_one_execution(play: Play) -> None:
    install = certificate(play, "-----BEGIN CERTIFICATE-----\none\n")
    assert recap(install("--check", "--diff")) == (1, 0)
    assert play.contents == {}
    done = install("--diff")
    assert (recap(done), play.module_executions) == ((1, 0), 1)
    assert "+mode 0644" in done.stdout
    assert recap(install()) == (0, 0)
    assert play.contents == {"etc/certs/gitlab.crt": "-----BEGIN CERTIFICATE-----\none\n"}
    assert recap(certificate(play, "two\n")()) == (1, 0)


@on_one_core
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "armhf"])
def test_the_module_runs_under_every_python_of_the_pis(play: Play, version: str) -> None:
    runs_under(play, version)


def test_the_module_runs_under_their_oldest_python(play: Play) -> None:
    runs_under(play, "3.9")


def runs_under(play: Play, version: str) -> None:
    found = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    if version == "armhf" and shutil.which("qemu-arm-static"):  # made by scripts/armhf_userland.sh
        found = sorted(ROOT.glob(".cache/armhf/usr/local/bin/python"))
    if not found:
        pytest.skip(f"Python {version} is not installed")
    interpreter = ["-e", f"ansible_python_interpreter={found[-1]}"]
    play.write(CONFIG)
    assert recap(play.configure(*interpreter)) == (1, 0)
    assert recap(play.configure(*interpreter)) == (0, 0)
