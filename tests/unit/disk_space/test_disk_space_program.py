# SPDX-License-Identifier: GPL-3.0-or-later
"""The program disk_space, run again and again against an engine on a socket, on a disk that fills and empties."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import _docker_api
import disk_space
import disk_space_plan as plan
import disk_space_runner as runner
import pytest
from fake_docker_engine import GB, RUNNER, FakeEngine

SIGQUIT = f"POST /containers/{RUNNER}/kill SIGQUIT"
FOREVER_NO = f'POST /containers/{RUNNER}/update {{"RestartPolicy": {{"Name": "no"}}}}'


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    socket = str(tmp_path / "docker.sock")
    monkeypatch.setattr(_docker_api.Engine.__init__, "__defaults__", (socket,))
    with FakeEngine(socket) as server:
        monkeypatch.setattr(disk_space.os, "statvfs", server.statvfs)
        monkeypatch.setattr(disk_space, "CONTAINERD", str(tmp_path / "no containerd"))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        server.run_gitlab_runner()
        yield server
        server.shutdown()
        thread.join()


class Host:
    """The host on which the program is installed. `now` is its clock."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str], **settings: Any) -> None:
        self.directory, self._capsys = directory, capsys
        self.now = 1_800_000_000.0
        self.settings = {
            "cleanup_below": "15%",
            "minimum_free": "5%",
            "unused_days": 14,
            "keep": [],
            "images": ["gitlab/gitlab-runner"],
            "deployment": "container",
            "paths": [],
            "state_directory": str(directory / "state"),
            **settings,
        }

    def check(self, *options: str, code: int = 0) -> str:
        """Run the program and return what it has printed."""
        path = self.directory / "settings.json"
        path.write_text(json.dumps(self.settings))
        assert disk_space.main([str(path), *options]) == code
        said = self._capsys.readouterr()
        assert (said.err == "") == (code == 0)
        return said.out + said.err

    def days_pass(self, days: float) -> None:
        self.now += days * plan.DAY

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "state" / "state.json").read_text())
        return found


@pytest.fixture
def host(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path, capsys)
    monkeypatch.setattr(disk_space, "time", SimpleNamespace(time=lambda: host.now))
    return host


def fill(engine: FakeEngine) -> None:
    """Images of 3 GB each, a cache volume, a volume of somebody, an ended container of a job and a build cache."""
    for number in range(4):
        engine.images[f"i{number}"] = {
            "Id": f"i{number}",
            "RepoTags": [f"image:{number}"],
            "Labels": None,
            "Size": 3 * GB,
        }
    cache = "runner-abc-project-1-concurrent-0-cache-" + "0" * 32
    engine.volumes = {name: {"Name": name, "Labels": None, "Size": GB} for name in (cache, "database")}
    engine.build_cache = {"layer": GB}
    engine.containers["job"] = {
        "Id": "job", "Names": ["/job"], "ImageID": "i0", "State": "exited", "Mounts": [], "Size": GB,
        "Labels": {plan.MANAGED_LABEL: "true", plan.JOB_LABEL: "1"}, "Policy": {"Name": "no"}, "StartedAt": "",
    }  # fmt: skip


def test_with_space_nothing_is_done_and_nothing_said(host: Host, engine: FakeEngine) -> None:
    fill(engine)
    engine.build_cache = {}
    assert host.check() == host.check() == ""
    assert [change for change in engine.changes if "build" not in change] == []


def test_what_is_old_goes_once_a_day(host: Host, engine: FakeEngine) -> None:
    fill(engine)
    host.check()
    engine.build_cache = {}
    host.days_pass(13)
    engine.past_events = [
        {"Type": "container", "time": host.now, "Actor": {"ID": "c", "Attributes": {"image": "image:3"}}}
    ]
    assert host.check() == ""
    host.days_pass(1.1)
    # i0 is the image of the container that has gone before it, but was not when the lists were made
    assert host.check() == ("Removed 1 container, 2 images and 1 volume (8.0 GB): 59.0 GB of 100.0 GB are free on /.\n")
    assert sorted(engine.images) == ["i0", "i3"]
    assert list(engine.volumes) == ["database"]
    host.days_pass(0.5)
    assert host.check() == ""
    host.days_pass(0.6)
    assert host.check() == "Removed 1 image (3.0 GB): 62.0 GB of 100.0 GB are free on /.\n"


def test_an_image_is_known_from_the_look_after_it_came(host: Host, engine: FakeEngine) -> None:
    """Not only from the next day, else nothing of a day could go when the disk fills within it."""
    host.check()
    host.days_pass(0.1)
    engine.images["new"] = {"Id": "new", "RepoTags": ["new:1"], "Labels": None, "Size": 5 * GB}
    host.check()
    host.days_pass(0.1)
    engine.free = 10 * GB
    assert host.check() == "Removed 1 image (5.0 GB): 15.0 GB of 100.0 GB are free on /.\n"


def test_a_clock_that_was_set_back_keeps_no_disk_full(host: Host, engine: FakeEngine) -> None:
    """A Pi has no clock of its own: after a power cut it begins with a former time, and may stay there."""
    fill(engine)
    host.check()
    host.now -= 0.5 * plan.DAY
    engine.free = 4 * GB
    assert "GitLab Runner takes no new jobs" in host.check()
    host.days_pass(0.2)
    assert "Removed" in host.check()


def test_low_space_is_freed_only_as_far_as_needed(host: Host, engine: FakeEngine) -> None:
    fill(engine)
    host.check()
    host.days_pass(0.1)
    engine.free = 11 * GB
    said = host.check()
    assert said == "Removed 1 container and 1 image (4.0 GB): 15.0 GB of 100.0 GB are free on /.\n"
    assert engine.free == 15 * GB
    assert len(engine.images) == 3
    assert host.check() == ""


def test_the_build_cache_is_the_first_to_go(host: Host, engine: FakeEngine) -> None:
    host.check()
    engine.build_cache = {"a": 5 * GB, "b": GB}
    engine.free = 14 * GB
    assert host.check() == "Removed build cache (6.0 GB): 20.0 GB of 100.0 GB are free on /.\n"


def test_what_was_in_use_within_the_hour_stays_however_low_space_is(host: Host, engine: FakeEngine) -> None:
    fill(engine)
    engine.build_cache = {}
    engine.free = 6 * GB
    assert host.check() == ""
    assert len(engine.images) == 4


def test_an_object_that_came_into_use_is_no_error(host: Host, engine: FakeEngine, monkeypatch: Any) -> None:
    fill(engine)
    host.check()
    host.days_pass(1.1)
    engine.free = 6 * GB
    monkeypatch.setattr(engine, "_in_use", lambda kind, key: key == "i1")
    assert "Removed" in host.check()
    assert "i1" in engine.images


def test_a_broken_object_does_not_keep_the_others(host: Host, engine: FakeEngine) -> None:
    fill(engine)
    host.check()
    host.days_pass(20)
    engine.broken = {"image:1"}
    said = host.check()
    assert "Not removed, because the engine fails to (1): Docker Engine answers /images/image:1 with 500" in said
    assert sorted(engine.images) == ["i0", "i1"]


def test_a_full_disk_drains_and_comes_back_by_itself(host: Host, engine: FakeEngine) -> None:
    host.check()
    engine.free = 4 * GB
    assert host.check() == (
        "4.0 GB of 100.0 GB are free on /: GitLab Runner takes no new jobs until 15% are free. Running jobs go on.\n"
    )
    assert engine.changes[-2:] == [FOREVER_NO, SIGQUIT]
    assert host.state["drained"] is True
    engine.end_jobs()
    assert host.check() == ""
    engine.free = 14 * GB
    assert host.check() == "", "between the limits nothing changes"
    assert engine.containers[RUNNER]["State"] == "exited"
    assert "14.0 GB of 100.0 GB are free on /: GitLab Runner takes no new jobs" in host.state["message"]
    engine.free = 15 * GB
    assert host.check() == "15.0 GB of 100.0 GB are free on /: GitLab Runner takes jobs again.\n"
    assert engine.containers[RUNNER]["State"] == "running"
    assert engine.containers[RUNNER]["Policy"]["Name"] == "always"
    assert host.state == {"drained": False, "message": "", "memory": {}}
    before = len(engine.changes)
    assert host.check() == ""
    assert len(engine.changes) == before


def test_another_full_disk_drains_and_removes_nothing(
    host: Host, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(engine)
    engine.build_cache = {}
    host.settings["paths"] = ["/dev/shm", "/"]
    host.check()
    host.days_pass(0.5)
    full = os.statvfs_result((1, 1, 10 * GB, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(disk_space.os, "statvfs", lambda path: full if path == "/dev/shm" else engine.statvfs(path))
    assert host.check().startswith("0.0 GB of 10.0 GB are free on /dev/shm: GitLab Runner takes no new jobs")
    assert len(engine.images) == 4
    host.settings["paths"] = ["/no such directory"]
    monkeypatch.setattr(disk_space.os, "statvfs", os.statvfs)
    assert "There is no /no such directory: correct disk_space_paths." in host.check(code=1)


def test_jobs_that_still_run_are_waited_for(host: Host, engine: FakeEngine) -> None:
    engine.free = 4 * GB
    host.check()
    engine.free = 50 * GB
    assert host.check() == ""
    assert engine.containers[RUNNER]["Policy"]["Name"] == "no"
    assert "as soon as its running jobs have ended" in host.state["message"]
    engine.end_jobs()
    assert "takes jobs again" in host.check()
    assert engine.containers[RUNNER]["State"] == "running"


def test_a_reboot_does_not_start_what_is_drained(host: Host, engine: FakeEngine) -> None:
    engine.free = 4 * GB
    host.check()
    engine.end_jobs()
    engine.restart()
    assert engine.containers[RUNNER]["State"] == "exited"


def test_a_play_that_runs_gitlab_runner_anew_is_made_up_for(host: Host, engine: FakeEngine) -> None:
    engine.free = 4 * GB
    host.check()
    engine.run_gitlab_runner()
    assert host.check() == ""
    assert engine.changes[-2:] == [FOREVER_NO, SIGQUIT]
    engine.run_gitlab_runner()
    engine.free = 50 * GB
    before = len(engine.changes)
    assert "takes jobs again" in host.check()
    assert SIGQUIT not in engine.changes[before:]
    assert engine.containers[RUNNER]["Policy"]["Name"] == "always"


def test_what_an_operator_has_stopped_stays_stopped(host: Host, engine: FakeEngine) -> None:
    engine.end_jobs()
    engine.free = 4 * GB
    assert "takes no new jobs" in host.check()
    engine.free = 50 * GB
    assert "takes jobs again" in host.check()
    assert (engine.containers[RUNNER]["State"], engine.changes) == ("exited", engine.changes[:2])
    assert not [change for change in engine.changes if RUNNER in change]


def test_another_policy_is_given_back(host: Host, engine: FakeEngine) -> None:
    engine.run_gitlab_runner("unless-stopped")
    engine.free = 4 * GB
    host.check()
    host.check()
    engine.end_jobs()
    engine.free = 50 * GB
    host.check()
    assert engine.containers[RUNNER]["Policy"]["Name"] == "unless-stopped"


def test_without_gitlab_runner_there_is_nothing_to_stop(host: Host, engine: FakeEngine) -> None:
    engine.containers.clear()
    engine.free = 4 * GB
    host.check()
    engine.free = 50 * GB
    assert "takes jobs again" in host.check()


class Killed(BaseException):
    """As SIGKILL: nothing that handles errors sees it."""


@pytest.mark.parametrize("change", range(1, 3))
def test_a_kill_at_each_change_of_the_engine_is_safe(
    host: Host, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, change: int
) -> None:
    """Before each of them the state on the disk is enough to drain, to wait and to come back."""
    host.check()
    engine.free = 4 * GB
    post, count = _docker_api.Engine.post, 0

    def dying(self: Any, resource: str, *names: str, **rest: Any) -> Any:
        nonlocal count
        count += resource.startswith("/containers")
        if count == change:
            raise Killed
        return post(self, resource, *names, **rest)

    monkeypatch.setattr(_docker_api.Engine, "post", dying)
    with pytest.raises(Killed):
        host.check()
    monkeypatch.setattr(_docker_api.Engine, "post", post)
    host.check()
    assert engine.changes[-1] == SIGQUIT
    engine.end_jobs()
    engine.free = 50 * GB
    count, monkey = 0, dying
    monkeypatch.setattr(_docker_api.Engine, "post", monkey)
    with pytest.raises(Killed):
        host.check()
    monkeypatch.setattr(_docker_api.Engine, "post", post)
    assert "takes jobs again" in host.check()
    assert engine.containers[RUNNER]["State"] == "running"
    assert engine.containers[RUNNER]["Policy"]["Name"] == "always"


def test_a_full_disk_drains_without_a_new_file(host: Host, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state goes into the blocks that its file has; that the rest cannot be written is said in the end."""
    host.check()
    path = host.directory / "state" / "state.json"
    before = path.stat()

    def full(*_arguments: Any, **_options: Any) -> Any:
        raise disk_space.atomic_file.FileError("usage.json could not be written: the disk is full.")

    monkeypatch.setattr(disk_space.atomic_file, "replace", full)
    engine.free = 0
    host.days_pass(0.2)
    said = host.check(code=1)
    assert "takes no new jobs" in said
    assert "usage.json could not be written: the disk is full." in said
    assert host.state["drained"] is True
    assert engine.changes[-1] == SIGQUIT
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_blocks) == (before.st_ino, disk_space.STATE_SIZE, before.st_blocks)


@pytest.mark.parametrize("content", ["", "[]", "{", "{}", '{"drained": 1}', "\0" * 100])
def test_a_broken_state_is_told(host: Host, engine: FakeEngine, content: str) -> None:
    host.check()
    (host.directory / "state" / "state.json").write_text(content)
    assert "state.json is not what was written there: remove it." in host.check(code=1)


def test_a_broken_history_is_told(host: Host, engine: FakeEngine) -> None:
    host.check()
    (host.directory / "state" / "usage.json").write_text('{"usage": []}')
    assert "usage.json is not what was written there: remove it." in host.check(code=1)


def test_release_starts_what_is_drained_and_waits_for_its_jobs(
    host: Host, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.free = 4 * GB
    host.check()
    monkeypatch.setattr(disk_space, "time", SimpleNamespace(sleep=lambda _seconds: engine.end_jobs()))
    host.check("--release")
    assert engine.containers[RUNNER]["State"] == "running"
    assert engine.containers[RUNNER]["Policy"]["Name"] == "always"
    assert host.state["drained"] is False


def test_settings_that_do_not_fit_touch_nothing(host: Host, engine: FakeEngine) -> None:
    host.settings["cleanup_below"] = "200GB"
    engine.free = 0
    assert "disk_space_cleanup_below is 200GB, but / is on a file system of 100.0 GB" in host.check(code=1)
    host.settings |= {"cleanup_below": "15%", "deployment": "shell"}
    assert "shell is no deployment of GitLab Runner that can be stopped: container, service, " in host.check(code=1)
    assert not [change for change in engine.changes if RUNNER in change]


def test_an_engine_that_does_not_answer_is_told(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_docker_api.Engine.__init__, "__defaults__", (str(tmp_path / "none.sock"),))
    assert f"Docker Engine does not answer at {tmp_path}/none.sock" in host.check(code=1)


@pytest.fixture
def daemon_json(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an engine whose systemctl counts reloads."""
    directory = tmp_path / "bin"
    directory.mkdir()
    systemctl = directory / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/reloads\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    path = tmp_path / "daemon.json"
    monkeypatch.setattr(runner, "DAEMON_JSON", str(path))
    host.settings["deployment"] = "service"
    return path


def reloads(path: Path) -> int:
    log = path.parent / "reloads"
    return log.read_text().splitlines().count("reload docker.service") if log.exists() else 0


@pytest.mark.parametrize("found", [None, {"log-driver": "local"}, {"labels": ["rack=1"], "debug": True}])
def test_a_node_is_drained_by_a_label_of_its_engine(
    host: Host, engine: FakeEngine, daemon_json: Path, found: dict[str, Any] | None
) -> None:
    if found is not None:
        daemon_json.write_text(json.dumps(found))
        daemon_json.chmod(0o640)
    host.check()
    assert reloads(daemon_json) == 0
    engine.free = 4 * GB
    assert "takes no new jobs" in host.check()
    labels = (found or {}).get("labels", [])
    assert json.loads(daemon_json.read_text()) == {**(found or {}), "labels": [*labels, runner.LABEL]}
    assert daemon_json.stat().st_mode & 0o777 == (0o644 if found is None else 0o640)
    assert (host.check(), reloads(daemon_json)) == ("", 1)
    engine.free = 50 * GB
    assert "takes jobs again" in host.check()
    assert json.loads(daemon_json.read_text()) == {**(found or {}), "labels": labels}
    assert (host.check(), reloads(daemon_json)) == ("", 2)
    assert not [change for change in engine.changes if RUNNER in change]


def test_a_label_that_a_play_has_written_back_goes(host: Host, engine: FakeEngine, daemon_json: Path) -> None:
    daemon_json.write_text(json.dumps({"labels": [runner.LABEL]}))
    assert (host.check(), reloads(daemon_json)) == ("", 1)
    assert json.loads(daemon_json.read_text()) == {"labels": []}


@pytest.mark.parametrize(
    ("content", "said"), [("{", "is not JSON"), ('{"labels": 1}', "list of labels"), ("[]", "list of")]
)
def test_a_broken_daemon_json_is_not_touched(
    host: Host, engine: FakeEngine, daemon_json: Path, content: str, said: str
) -> None:
    daemon_json.write_text(content)
    engine.free = 4 * GB
    assert said in host.check(code=1)
    assert (daemon_json.read_text(), reloads(daemon_json)) == (content, 0)


def test_two_of_the_program_take_turns(host: Host, engine: FakeEngine) -> None:
    host.check()
    with disk_space.alone(host.settings["state_directory"]):
        thread = threading.Thread(target=host.check)
        thread.start()
        time.sleep(0.1)
        assert thread.is_alive()
    thread.join()


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state of the unit, in a file that a systemctl reads and writes which is found instead of the real one."""
    directory = tmp_path / "bin"
    directory.mkdir()
    state = tmp_path / "unit"
    state.write_text("active")
    program = directory / "systemctl"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$1" >>{tmp_path}/asked\n'
        f'case "$*" in\n'
        f"  *LoadState*) test -s {state} && echo loaded || echo not-found ;;\n"
        f"  show*) test -s {state} && cat {state} || echo inactive ;;\n"
        f"  enable*) test -s {state} || {{ echo no such unit >&2; exit 1; }} ;;\n"
        f"  stop*) echo deactivating >{state} ;;\n"
        f"  start*) echo active >{state} ;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return state


def test_the_unit_of_the_package(host: Host, engine: FakeEngine, unit: Path) -> None:
    host.settings["deployment"] = "package"
    engine.free = 4 * GB
    assert "takes no new jobs" in host.check()
    assert unit.read_text() == "deactivating\n"
    engine.free = 50 * GB
    assert host.check() == ""
    assert "as soon as its running jobs have ended" in host.state["message"]
    unit.write_text("inactive\n")
    assert "takes jobs again" in host.check()
    assert unit.read_text() == "active\n"
    asked = (unit.parent / "asked").read_text().split()
    assert [word for word in asked if word != "show"] == ["disable", "stop", "enable", "start"]


def test_a_unit_that_somebody_else_has_stopped_stays_stopped(host: Host, engine: FakeEngine, unit: Path) -> None:
    host.settings["deployment"] = "package"
    unit.write_text("inactive\n")
    engine.free = 4 * GB
    host.check()
    engine.free = 50 * GB
    assert "takes jobs again" in host.check()
    assert unit.read_text() == "inactive\n"


@pytest.mark.parametrize("option", [[], ["--release"]], ids=["there is room", "the program leaves"])
def test_a_unit_that_was_removed_while_it_was_drained_is_no_error(
    host: Host, engine: FakeEngine, unit: Path, option: list[str]
) -> None:
    """As by the playbook remove, or by another deployment."""
    host.settings["deployment"] = "package"
    engine.free = 4 * GB
    host.check()
    unit.write_text("")
    engine.free = 50 * GB
    host.check(*option)
    assert host.state == {"drained": False, "message": "", "memory": {}}


def test_another_deployment_since_the_drain_starts_nothing(host: Host, engine: FakeEngine, unit: Path) -> None:
    engine.free = 4 * GB
    host.check()
    engine.end_jobs()
    unit.write_text("inactive\n")
    host.settings["deployment"] = "package"
    engine.free = 50 * GB
    assert "takes jobs again" in host.check()
    assert unit.read_text() == "inactive\n"
    unit.write_text("active\n")
    engine.free = 4 * GB
    host.check()
    host.settings["deployment"] = "container"
    engine.free = 50 * GB
    assert "takes jobs again" in host.check()
    assert engine.containers[RUNNER]["State"] == "exited"
