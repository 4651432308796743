# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of daemon.json: what can be reloaded is reloaded, for anything else the jobs end first, and none is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from drawing import takes
from integration.scenarios import SCENARIO
from lab.fleet import JOB_ENDS, GitLab, Lab, Play, eventually
from testinfra.host import Host

DAEMON_JSON = "/etc/docker/daemon.json"
RUNNING = f"{DAEMON_JSON}.running"
PREVIOUS = f"{DAEMON_JSON}.previous"
BROKEN_DRAINS: dict[str, tuple[dict[str, Any], str]] = {
    "default": ({"_gitlab_runner_restart_marker": "/none/marker"}, "touch: cannot touch"),
    "swarm": ({"_gitlab_runner_poll_interval": "never"}, ""),
}
"""Variables with which a drain fails, and why; a node writes no marker."""
MIRROR = "http://mirror.lab:5000/"


@pytest.fixture
def name(pis: dict[str, Host]) -> str:
    """The last Pi; in a swarm that is a worker."""
    return max(pis)


@pytest.fixture
def pi(lab: Lab, pis: dict[str, Host], name: str) -> Iterator[Host]:
    """Its daemon.json is put back afterwards, and the play has nothing to do."""
    before = content(pis[name])
    yield pis[name]
    put(pis[name], before)
    pis[name].check_output(f"rm -f {RUNNING} && systemctl reset-failed docker && systemctl restart docker")
    back = lab.play("--limit", name)
    assert back.code == 0, back.output
    assert lab.play("--limit", name).recap[name]["changed"] == 0


def content(pi: Host) -> str:
    text: str = pi.file(DAEMON_JSON).content_string
    return text


def put(pi: Host, text: str) -> None:
    pi.check_output(f"echo %s > {DAEMON_JSON}", text)


def play(lab: Lab, name: str, options: dict[str, Any], **variables: Any) -> Play:
    return lab.play("--limit", name, "-e", json.dumps({"docker_daemon_options": options, **variables}))


def engine(pi: Host) -> str:
    """What is another one after a restart."""
    return pi.check_output("systemctl show --property=MainPID,ActiveState docker.service")


def running_job(gitlab: GitLab, name: str) -> int:
    number: int = gitlab.call("POST", "/jobs", script=["sleep 20", "echo ended"], tag_list=[name, "docker"])["id"]
    gitlab.wait_for_job(number, ["running"], timeout=30)
    return number


def ended(gitlab: GitLab, number: int) -> bool:
    job = gitlab.wait_for_job(number, JOB_ENDS)
    assert job["status"] == "success", job["trace"]
    return "ended" in job["trace"]


@takes(26)
def test_a_mirror_is_reloaded_under_a_running_job(lab: Lab, gitlab: GitLab, pi: Host, name: str) -> None:
    before, config = engine(pi), json.loads(content(pi))
    put(pi, json.dumps({**config, "registry-mirrors": ["http://theirs.lab/"], "debug": True}))
    pi.check_output("systemctl reload docker")
    number = running_job(gitlab, name)
    done = play(lab, name, {}, docker_registry_mirrors=[MIRROR])
    assert done.code == 0, done.output
    assert ended(gitlab, number)
    assert engine(pi) == before
    mirrors = ["http://theirs.lab/", MIRROR]
    assert json.loads(pi.check_output("docker info -f '{{json .RegistryConfig.Mirrors}}'")) == mirrors
    assert json.loads(content(pi)) == {**config, "debug": True, "registry-mirrors": mirrors}
    assert not pi.file(RUNNING).exists
    assert json.loads(pi.file(PREVIOUS).content_string)["registry-mirrors"] == mirrors[:1]
    again = play(lab, name, {}, docker_registry_mirrors=[MIRROR])
    assert (again.code, again.recap[name]["changed"]) == (0, 0), again.output


@takes(40)
def test_a_restart_waits_for_the_running_job(lab: Lab, gitlab: GitLab, pi: Host, name: str) -> None:
    before = engine(pi)
    number = running_job(gitlab, name)
    done = play(lab, name, {"log-level": "warn"})
    assert done.code == 0, done.output
    assert ended(gitlab, number)
    assert engine(pi) != before
    assert gitlab.run_job(script=["true"], tag_list=[name, "docker"])["status"] == "success"
    again = play(lab, name, {"log-level": "warn"})
    assert (again.code, again.recap[name]["changed"]) == (0, 0), again.output


@takes(40)
def test_a_restart_that_a_play_did_not_come_to_is_made_up_for(lab: Lab, pi: Host, name: str) -> None:
    before = engine(pi)
    broken, reason = BROKEN_DRAINS[SCENARIO]
    died = play(lab, name, {"log-level": "warn"}, **broken)
    assert f"Docker was not restarted yet: {reason}" in " ".join(died.output.split())
    assert (engine(pi), json.loads(content(pi))["log-level"]) == (before, "warn")
    done = play(lab, name, {"log-level": "warn"})
    assert done.code == 0, done.output
    assert engine(pi) != before
    assert play(lab, name, {"log-level": "warn"}).recap[name]["changed"] == 0


@takes(35)
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param(
            {"storage-driver": "nope"},
            "does not start with the new daemon.json, which was rolled back. Docker runs with the previous one",
            id="found at the start",
        ),
        pytest.param(
            {"nope": 1},
            "daemon.json was not changed, because Docker rejects docker_daemon_options",
            id="found before",
        ),
    ],
)
def test_what_the_engine_rejects_costs_no_job(
    lab: Lab, gitlab: GitLab, pi: Host, name: str, options: dict[str, Any], reason: str
) -> None:
    before = content(pi)
    number = running_job(gitlab, name)
    done = play(lab, name, options)
    assert reason in " ".join(done.output.split())
    assert (content(pi), pi.file(RUNNING).exists) == (before, False)
    assert ended(gitlab, number)
    assert gitlab.run_job(script=["true"], tag_list=[name, "docker"])["status"] == "success"


@takes(12)
def test_an_engine_that_is_broken_for_another_reason_is_reported(lab: Lab, pi: Host, name: str) -> None:
    before = content(pi)
    flags = "/run/systemd/system/docker.service.d"
    pi.check_output(
        f"mkdir -p {flags} && printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/dockerd --log-driver=nope\\n' "
        f"> {flags}/x.conf && systemctl daemon-reload && systemctl stop docker.socket docker"
    )
    try:
        done = lab.play("--limit", name)
    finally:
        pi.check_output(f"rm -r {flags} && systemctl daemon-reload && systemctl reset-failed docker docker.socket")
    said = " ".join(done.output.split())
    assert "Docker does not start, and not because of a change by this role; nothing was changed back" in said
    assert "log-driver" in said
    assert content(pi) == before
    eventually(lambda: lab.play("--limit", name).code == 0)


@takes(24)
def test_a_pinned_version_is_held_until_it_is_not_pinned(lab: Lab, pis: dict[str, Host], name: str) -> None:
    pi, limit = pis[name], ("--limit", name)
    before, version = engine(pi), pi.package("docker.io").version
    pi.check_output("apt-mark hold runc")
    done = lab.play(*limit, "-e", "docker_version=99.*")
    assert "no available installation candidate for docker.io=99.*" in " ".join(done.output.split())
    assert (engine(pi), held(pi)) == (before, {"runc"})
    done = lab.play(*limit, "-e", f"docker_version={version[:5]}*")
    assert done.code == 0, done.output
    assert {"docker.io", "containerd", "runc"} <= held(pi)
    assert lab.play(*limit, "-e", f"docker_version={version[:5]}*").recap[name]["changed"] == 0
    assert lab.play(*limit).recap[name]["changed"] > 0
    assert (engine(pi), held(pi)) == (before, {"runc"}), "the hold of somebody else stays"
    pi.check_output("apt-mark unhold runc")
    assert lab.play(*limit).recap[name]["changed"] == 0


def held(pi: Host) -> set[str]:
    return set(pi.check_output("apt-mark showhold").split())


def test_unattended_upgrades_leave_the_engine_alone(pis: dict[str, Host]) -> None:
    for name, pi in pis.items():
        shown = pi.check_output("apt-config dump Unattended-Upgrade::Package-Blacklist")
        assert {'"docker.io$";', '"containerd$";', '"runc$";'} <= set(shown.split()), name
