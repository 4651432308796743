# SPDX-License-Identifier: GPL-3.0-or-later
"""host_info, against an engine that listens on a socket of its own and answers as Docker's API does."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.pifleet.ci.plugins.module_utils import _docker_api
from ansible_collections.pifleet.ci.plugins.modules import host_info

IMAGE = "registry.example.com:5000/ci/gitlab-runner:v19"
CONTAINER = {
    "Image": "sha256:aaa",
    "State": {"Running": True},
    "Config": {
        "Image": IMAGE,
        "StopSignal": "SIGQUIT",
        "StopTimeout": 7200,
        "Env": ["CI_SERVER_TOKEN=glrt-secret"],
        "Labels": {"maintainer": "GitLab Inc."},
    },
    "HostConfig": {
        "RestartPolicy": {"Name": "always"},
        "Mounts": [{"Type": "bind", "Source": "/etc/gitlab-runner", "Target": "/etc/gitlab-runner"}],
    },
}
SHOWN = {
    "image": IMAGE,
    "image_id": "sha256:aaa",
    "running": True,
    "restart_policy": "always",
    "stop_signal": "SIGQUIT",
    "stop_timeout": 7200,
    "labels": {"maintainer": "GitLab Inc."},
    "mounts": [
        {"type": "bind", "source": "/etc/gitlab-runner", "target": "/etc/gitlab-runner", "read_only": False},
    ],
}
MANAGER = {
    "LocalNodeState": "active",
    "NodeID": "n1",
    "NodeAddr": "10.0.0.1",
    "ControlAvailable": True,
    "Error": "",
    "RemoteManagers": [{"NodeID": "n1", "Addr": "10.0.0.1:2377"}],
}
INFO = {"ServerVersion": "26.1.5", "Containers": 2, "Images": 12, "Swarm": {**MANAGER, "Cluster": {}}}
Execute = Callable[..., dict[str, Any]]


class Engine(socketserver.ThreadingUnixStreamServer):
    """Answers GET with what `objects` has by path, else with 404, as the API does."""

    def __init__(self, path: str) -> None:
        self.objects: dict[str, Any] = {"/info": INFO}
        self.queries: list[dict[str, list[str]]] = []
        super().__init__(path, Handler)


class Handler(BaseHTTPRequestHandler):
    server: Engine

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.queries.append(parse_qs(parts.query))
        found = self.server.objects.get(parts.path)
        status, body = found if isinstance(found, tuple) else (404 if found is None else 200, json.dumps(found))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(_docker_api.Engine.__init__, "__defaults__", (path,))
    with Engine(path) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def execute(capsys: pytest.CaptureFixture[str]) -> Execute:
    """Run the module as Ansible does; the reply of one that fails has `failed`."""

    def run(**query: Any) -> dict[str, Any]:
        with patch_module_args({"query": query}), pytest.raises(SystemExit):
            host_info.main()
        reply: dict[str, Any] = json.loads(capsys.readouterr().out)
        return reply

    return run


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is the whole PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def program(directory: Path, name: str, output: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\nexit 1\n".replace("cat <<", "/bin/cat <<"))
    path.chmod(0o755)


def test_a_container_is_shown_without_its_environment(engine: Engine, execute: Execute) -> None:
    engine.objects["/containers/gitlab-runner/json"] = CONTAINER
    engine.objects[f"/images/{IMAGE}/json"] = {"Id": "sha256:bbb"}
    done = execute(containers=["gitlab-runner", "other"], images=[IMAGE, "gone:1"])
    assert done["containers"] == {"gitlab-runner": SHOWN, "other": None}
    assert done["images"] == {IMAGE: "sha256:bbb", "gone:1": None}
    assert "glrt-secret" not in json.dumps(done["containers"])
    assert done["engine"] == {"version": "26.1.5", "swarm": MANAGER, "containers": 2, "images": 12}
    assert done["changed"] is False


@pytest.mark.parametrize(
    ("name", "status"),
    [("Registry/Runner:1", 400), ("runner:", 400), ("registry.example.com//runner", 301)],  # as Docker 20.10 answers
)
def test_an_image_that_cannot_be_called_so_is_none_and_the_engine_is_there(
    engine: Engine, execute: Execute, name: str, status: int
) -> None:
    engine.objects[f"/images/{name}/json"] = (status, '{"message":"invalid reference format"}')
    done = execute(images=[name])
    assert (done["images"], done["engine_error"]) == ({name: None}, "")
    assert done["engine"]["containers"] == 2


def test_labelled_images_by_reference(engine: Engine, execute: Execute) -> None:
    engine.objects["/images/json"] = [
        {"RepoTags": ["tools:1", "tools:2"], "Labels": {"build": "abc", "other": "x"}},
        {"RepoTags": ["<none>:<none>"], "Labels": {"build": "old"}},
        {"RepoTags": None, "Labels": {"build": "older"}},
    ]
    assert execute(labelled_images=["build"])["labelled_images"] == {"build": {"tools:1": "abc", "tools:2": "abc"}}
    assert engine.queries[-1] == {"filters": ['{"label": ["build"]}']}


def test_services_are_listed_by_their_whole_names(engine: Engine, execute: Execute) -> None:
    updating = {"State": "updating"}
    engine.objects["/services"] = [
        {"Spec": {"Name": "gitlab-runner"}, "UpdateStatus": updating},
        {"Spec": {"Name": "gitlab-runner-canary"}, "UpdateStatus": updating},
    ]
    done = execute(services=["gitlab-runner", "gitlab"])
    assert done["services"] == done["updating_services"] == ["gitlab-runner"]
    engine.objects["/services"][0]["UpdateStatus"] = {"State": "completed"}
    assert execute(services=["gitlab-runner"])["updating_services"] == []
    execute(services=["gitlab-runner", "gitlab"])
    assert json.loads(engine.queries[-1]["filters"][0]) == {"name": ["gitlab-runner", "gitlab"]}


def test_a_worker_is_not_asked_for_services(engine: Engine, execute: Execute) -> None:
    engine.objects["/info"]["Swarm"]["ControlAvailable"] = False
    engine.objects["/services"] = (503, '{"message":"This node is not a swarm manager."}')
    assert execute(services=["gitlab-runner"])["services"] == []


def test_a_manager_without_a_majority_is_an_engine_all_the_same(engine: Engine, execute: Execute) -> None:
    """It says that it manages the swarm, and answers nothing about services, as after a power cut of the fleet."""
    error = "rpc error: code = Unknown desc = The swarm does not have a leader."
    engine.objects["/info"] = {**INFO, "Swarm": {**MANAGER, "Error": error}}
    engine.objects["/services"] = (500, json.dumps({"message": error}))
    done = execute(services=["gitlab-runner"])
    assert (done["engine"]["swarm"]["Error"], done["engine_error"]) == (error, "")
    assert done["services"] == done["updating_services"] == []


def test_an_engine_outside_of_swarms(engine: Engine, execute: Execute) -> None:
    engine.objects["/info"]["Swarm"] = {"LocalNodeState": "inactive", "NodeID": "", "ControlAvailable": False}
    assert execute()["engine"]["swarm"]["LocalNodeState"] == "inactive"


@pytest.mark.parametrize(
    ("answer", "reason"), [((500, "oh no"), "with 500: oh no."), ((200, "<html>"), "with something else than JSON.")]
)
def test_an_engine_that_fails_is_no_engine(engine: Engine, execute: Execute, answer: Any, reason: str) -> None:
    engine.objects["/info"] = answer
    done = execute(containers=["gitlab-runner"], images=["a:1"])
    assert done["engine"] is None
    assert reason in done["engine_error"]
    assert (done["containers"], done["images"]) == ({"gitlab-runner": None}, {"a:1": None})


def test_a_host_without_engine(execute: Execute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_docker_api.Engine.__init__, "__defaults__", (str(tmp_path / "none.sock"),))
    done = execute(services=["gitlab-runner"], labelled_images=["build"])
    assert done["engine"] is None
    assert done["labelled_images"] == {"build": {}}
    assert f"does not answer at {tmp_path}/none.sock" in done["engine_error"]
    assert done["services"] == []


def test_files(execute: Execute, tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text("{}\n")
    (tmp_path / "daemon.json").chmod(0o640)
    done = execute(files=[str(tmp_path / "daemon.json"), str(tmp_path / "missing")])
    assert done["files"] == {
        f"{tmp_path}/daemon.json": {"content": "{}\n", "mode": "0640"},
        f"{tmp_path}/missing": None,
    }


def test_what_is_no_file_is_an_error(execute: Execute, tmp_path: Path) -> None:
    assert f"{tmp_path} could not be read: is a directory." in execute(files=[str(tmp_path)])["msg"]


def test_checksums(execute: Execute, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    done = execute(checksums=[str(tmp_path / "program.py"), str(tmp_path / "missing")])
    assert done["checksums"] == {f"{tmp_path}/program.py": empty, f"{tmp_path}/missing": None}
    assert "is a directory." in execute(checksums=[str(tmp_path)])["msg"]


def test_directories(execute: Execute, tmp_path: Path) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "with" / "file").write_text("")
    asked = [str(tmp_path / name) for name in ("with", "with/file", "without/any")]
    found = execute(directories=asked)["directories"]
    assert [found[path]["entries"] for path in asked] == [1, None, None]
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    assert [abs(found[path]["free"] - free) < 1_000_000_000 for path in asked] == [True] * 3


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_ports_at_which_a_process_listens(execute: Execute, family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family) as listening, socket.socket(family) as silent:
        for each in (listening, silent):
            each.bind((address, 0))
        listening.listen()
        ports = [each.getsockname()[1] for each in (silent, listening)]
        assert execute(tcp_ports=ports)["listening_tcp_ports"] == ports[1:]


def test_installed_packages_only(execute: Execute, programs: Path) -> None:
    program(programs, "dpkg", "armhf")
    shown = "docker.io hold installed 20.10.24\nrunc deinstall config-files 1.1.5\ndocker-cli unknown not-installed "
    program(programs, "dpkg-query", shown)
    done = execute(packages=["docker.io", "runc", "docker-cli", "docker-ce"])
    assert done["packages"] == {"docker.io": "20.10.24"}
    assert done["held_packages"] == ["docker.io"]
    assert done["architecture"] == "armhf"


def test_units_are_matched_by_their_order(execute: Execute, programs: Path) -> None:
    blocks = [
        "NeedDaemonReload=yes\nUnitFileState=enabled\nActiveState=active",
        "NeedDaemonReload=no\nUnitFileState=\nActiveState=inactive",
    ]
    program(programs, "systemctl", "\n\n".join(blocks))
    done = execute(units=["docker.service", "none.service"])
    assert done["units"] == {
        "docker.service": {"enabled": "enabled", "active": "active"},
        "none.service": {"enabled": "", "active": "inactive"},
    }
    assert done["outdated_units"] == ["docker.service"]


def test_a_host_without_dpkg_and_systemd(execute: Execute, programs: Path) -> None:
    done = execute(packages=["docker.io"], units=["docker.service"], groups=["no such group"])
    assert not list(programs.iterdir())
    assert (done["architecture"], done["packages"], done["groups"]) == ("", {}, {"no such group": []})
    assert done["units"] == {"docker.service": {"enabled": "", "active": ""}}
    assert done["outdated_units"] == []


def test_users_that_exist(execute: Execute) -> None:
    assert execute(users=["root", "no such user"])["users"] == ["root"]


def test_the_clock(execute: Execute) -> None:
    before = time.time()
    assert before <= execute()["time"] <= time.time()


@pytest.mark.skipif(not os.path.exists("/run/systemd/system"), reason="systemd does not run here")
def test_the_real_systemctl(execute: Execute) -> None:
    done = execute(units=["systemd-journald.service", "none.service"])
    assert done["units"]["systemd-journald.service"]["active"] == "active"
    assert done["units"]["none.service"] == {"enabled": "", "active": "inactive"}


def test_addresses(programs: Path, execute: Execute) -> None:
    assert execute()["addresses"] == []
    program(programs, "hostname", "10.0.0.1 fd00::1 ")
    assert execute()["addresses"] == ["10.0.0.1", "fd00::1"]


OS_RELEASE = """PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"
NAME="Raspbian GNU/Linux"
VERSION_ID="12"
# a comment with an = and a "
VERSION_CODENAME=bookworm
ID=raspbian
"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            OS_RELEASE,
            {"id": "raspbian", "version": "12", "codename": "bookworm", "name": "Raspbian GNU/Linux 12 (bookworm)"},
            id="Raspbian",
        ),
        pytest.param(
            "ID=debian\nPRETTY_NAME='Debian GNU/Linux forky/sid'\n",
            {"id": "debian", "version": "0", "codename": "", "name": "Debian GNU/Linux forky/sid"},
            id="no release yet",
        ),
        pytest.param(None, {"id": "linux", "version": "0", "codename": "", "name": "Linux"}, id="no such file"),
    ],
)
def test_the_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, expected: dict[str, str]
) -> None:
    path = tmp_path / "os-release"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(host_info, "OS_RELEASE", str(path))
    assert host_info.distribution() == expected


@pytest.mark.parametrize(
    ("version_2", "version_1", "expected"),
    [
        pytest.param("cpuset cpu io memory pids\n", None, ["cpu", "cpuset", "io", "memory", "pids"], id="version 2"),
        pytest.param("cpu pids\n", "memory\t0\t1\t1\n", ["cpu", "pids"], id="version 2 without memory"),
        pytest.param(
            None,
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t2\t180\t1\nmemory\t0\t84\t0\n",
            ["cpu"],
            id="version 1 without memory",
        ),
        pytest.param(None, None, [], id="no cgroups"),
    ],
)
def test_the_controllers_of_cgroups(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version_2: str | None,
    version_1: str | None,
    expected: list[str],
) -> None:
    for name, content in (("CGROUP_V2", version_2), ("CGROUP_V1", version_1)):
        path = tmp_path / name
        if content is not None:
            path.write_text(content)
        monkeypatch.setattr(host_info, name, str(path))
    assert host_info.cgroup_controllers() == expected


@pytest.mark.parametrize(
    ("vcgencmd", "firmware", "alarm", "expected"),
    [
        pytest.param("throttled=0x0", None, None, [], id="all is well"),
        pytest.param(
            "throttled=0x50005",
            "0",
            None,
            ["under-voltage now", "throttling now", "under-voltage since boot", "throttling since boot"],
            id="vcgencmd",
        ),
        pytest.param(
            None, "80008", None, ["soft temperature limit now", "soft temperature limit since boot"], id="a file"
        ),
        pytest.param("error=1", "20000", None, ["capped frequency since boot"], id="vcgencmd without a device"),
        pytest.param(None, None, "1", ["under-voltage now"], id="the hardware monitor"),
        pytest.param(None, None, "0", [], id="the hardware monitor is content"),
        pytest.param(None, None, None, None, id="no Raspberry Pi"),
    ],
)
def test_power_and_temperature(
    execute: Execute,
    programs: Path,
    monkeypatch: pytest.MonkeyPatch,
    vcgencmd: str | None,
    firmware: str | None,
    alarm: str | None,
    expected: list[str] | None,
) -> None:
    files = {"FIRMWARE": programs / "get_throttled", "HWMON": programs / "hwmon*" / "name"}
    for constant, path in files.items():
        monkeypatch.setattr(host_info, constant, str(path))
    if vcgencmd is not None:
        program(programs, "vcgencmd", vcgencmd)
    if firmware is not None:
        files["FIRMWARE"].write_text(firmware + "\n")
    for number, name, content in ((0, "cpu_thermal", None), (1, "rpi_volt", alarm)):
        if alarm is not None:
            (programs / f"hwmon{number}").mkdir()
            (programs / f"hwmon{number}" / "name").write_text(name + "\n")
            if content is not None:
                (programs / f"hwmon{number}" / "in0_lcrit_alarm").write_text(content + "\n")
    assert execute(throttling=True)["throttling"] == expected
    assert execute()["throttling"] is None, "only where it is asked for"


def test_files_of_the_kernel(execute: Execute) -> None:
    """They have no size."""
    assert execute(files=["/proc/cmdline"])["files"]["/proc/cmdline"]["content"] == Path("/proc/cmdline").read_text()


def test_what_tells_one_machine_from_another(execute: Execute) -> None:
    done = execute()
    assert done["machine"] == os.uname().machine
    assert done["machine_id"] == host_info.first_line("/etc/machine-id")
    assert host_info.first_line("/no such file") == ""


def test_the_address_is_one_of_the_host(execute: Execute) -> None:
    address = execute()["default_address"]
    assert address == "" or f" {address}\n" in Path("/proc/net/fib_trie").read_text()
