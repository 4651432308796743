# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment `package` on one Pi: there and back, with jobs running whenever something ends.

Each test can be drawn alone: those that start from the package have it installed if a test before did not.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from drawing import takes
from integration.scenarios import only_in
from lab.fleet import JOB_ENDS, GitLab, Lab, Play, eventually
from lab.runner_packages import Offer, offer_packages, withdraw_packages
from registration_kill import MARK, kill_all
from testinfra.host import Host

PI = "pi-01"
UNIT = "gitlab-runner.service"
OLD, NEW, SILENT, BROKEN = "19.3.0-1", "19.4.0-1", "19.8.0-1", "19.9.0-1"
KEPT = "/var/lib/pifleet-ci/previous-packages"
BASH_LOGOUT = "/home/gitlab-runner/.bash_logout"
OURS = (
    "/etc/apt/sources.list.d/gitlab-runner.sources",
    f"/etc/systemd/system/{UNIT}.d",
    "/var/cache/pifleet-ci",
    "/var/lib/pifleet-ci",
)
DOCKER = {
    "name": "docker",
    "gitlab": {"tag_list": ["rpi", "docker", PI]},
    "config": {"docker": {"image": "{{ lab_job_image }}"}},
}
SOCKET = {
    "name": "docker-socket",
    "gitlab": {"tag_list": ["rpi", "docker-build", PI]},
    "config": {"docker": {"image": "{{ lab_docker_job_image }}", "volumes": ["/cache"]}},
}
SHELL = {"name": "shell", "gitlab": {"tag_list": ["rpi", "shell", PI]}, "config": {"executor": "shell"}}
pytestmark = [only_in("default"), pytest.mark.timeout(900)]
there_and_back = takes(140, "from the container to the package and back")


@pytest.fixture(scope="module")
def offer(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offer]:
    folder = tmp_path_factory.mktemp("packages") / "repository"
    folder.mkdir()
    yield offer_packages(lab, PI, folder, [OLD, NEW, SILENT, BROKEN], broken=[BROKEN], silent=[SILENT])
    withdraw_packages(lab, PI)


@pytest.fixture(scope="module")
def fleet(lab: Lab, offer: Offer, gitlab: GitLab) -> Iterator[Fleet]:
    """The Pi as a container at the beginning; as that again afterwards, whatever has happened."""
    fleet = Fleet(lab, gitlab, offer)
    fleet.is_(fleet.container())
    yield fleet
    fleet.is_(fleet.container(gitlab_runner_config_options={"purge": True}))
    fleet.is_(lab.play("--limit", PI))


@pytest.fixture
def packaged(fleet: Fleet) -> None:
    """The Pi has the package in its old version, with the settings of the lab."""
    fleet.is_(fleet.package())


class Fleet:
    """One Pi of the lab, and plays with settings."""

    def __init__(self, lab: Lab, gitlab: GitLab, offer: Offer) -> None:
        self.lab, self.gitlab, self.offer = lab, gitlab, offer

    def play(
        self,
        *arguments: str,
        playbook: str = "pifleet.ci.site",
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Play:
        limited = ("--limit", PI, "-e", json.dumps(settings))
        return self.lab.play(*limited, *arguments, playbook=playbook, **(environment or {}))

    def container(self, **settings: Any) -> Play:
        return self.play(gitlab_runner_deployment="container", **settings)

    def package(self, version: str = OLD, *arguments: str, **settings: Any) -> Play:
        wanted = {
            "gitlab_runner_deployment": "package",
            "gitlab_runner_package": {**self.offer.settings, "version": version},
            "gitlab_runner_runners": [DOCKER, SOCKET, SHELL],
            **settings,
        }
        return self.play(*arguments, **wanted)

    def job(self, tag: str, *script: str) -> int:
        number: int = self.gitlab.call("POST", "/jobs", script=list(script), tag_list=[PI, tag])["id"]
        return number

    def running_job(self, tag: str) -> int:
        number = self.job(tag, "sleep 12", "echo ended")
        self.gitlab.wait_for_job(number, ["running"], timeout=30)
        return number

    def has_ended(self, number: int) -> None:
        job = self.gitlab.wait_for_job(number, JOB_ENDS, timeout=60)
        assert (job["status"], "ended" in job["trace"]) == ("success", True), job["trace"]

    def runs(self, tag: str, *script: str) -> str:
        """Run a job and return what it prints."""
        job = self.gitlab.wait_for_job(self.job(tag, *script), JOB_ENDS)
        assert job["status"] == "success", job["trace"]
        return str(job["trace"])

    def upgrade(self, version: str, *arguments: str, **settings: Any) -> Play:
        return self.package(version, *arguments, playbook="pifleet.ci.upgrade", **settings)

    @staticmethod
    def is_(play: Play) -> Play:
        assert play.code == 0, play.output
        return play


@pytest.fixture(scope="module")
def pi(pis: dict[str, Host]) -> Host:
    return pis[PI]


def processes(pi: Host) -> list[str]:
    """The command lines of the processes that read a config.toml, also those in containers."""
    shown: str = pi.check_output("ps -eo pid,args")
    return [
        line.strip()
        for line in shown.splitlines()
        if re.search(r"(gitlab-runner|runner_standin) run ", line) and "init" not in line
    ]


@contextmanager
def never_two(pi: Host) -> Iterator[None]:
    """Fails if two processes that read a config.toml are seen twice; a child looks like its parent before its exec."""
    seen: list[set[str]] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.3):
            seen.append(set(processes(pi)))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    assert len(seen) > 1
    assert [both for before, after in pairwise(seen) if len(both := before & after) > 1] == []


def active(pi: Host) -> str:
    """Whether the unit is active, and since when."""
    shown: str = pi.check_output(f"systemctl show -p ActiveState,ActiveEnterTimestampMonotonic --value {UNIT}")
    return shown


def version(pi: Host) -> str:
    shown: str = pi.check_output("dpkg-query -W -f '${Version}' gitlab-runner")
    return shown


@there_and_back
def test_from_the_container_to_the_package(fleet: Fleet, gitlab: GitLab, pi: Host) -> None:
    known = {runner["id"] for runner in gitlab.runners()}
    system_id = pi.check_output("cat /etc/gitlab-runner/.runner_system_id")
    number = fleet.running_job("docker")
    check = fleet.is_(fleet.package(OLD, "--check"))
    assert "Would run GitLab Runner on pi-01, as package." in check.output
    fleet.is_(fleet.package())
    fleet.has_ended(number)
    assert pi.check_output("docker ps --all --quiet --filter name=gitlab-runner") == ""
    assert len(processes(pi)) == 1
    assert version(pi) == OLD
    assert pi.check_output("apt-mark showhold").split() == ["gitlab-runner", "gitlab-runner-helper-images"]
    assert pi.check_output("cat /etc/gitlab-runner/.runner_system_id") == system_id
    assert len({runner["id"] for runner in gitlab.runners()} - known) == 1, "the shell runner"
    assert not pi.file("/var/log/lab-pruned-images").exists
    assert not pi.file(OURS[1] + "/pifleet-ci-inhibit.conf").exists


@there_and_back
def test_an_unchanged_run_is_as_cheap_as_with_the_container(fleet: Fleet, lab: Lab, pi: Host) -> None:
    before = active(pi)
    again = fleet.is_(fleet.package())
    assert again.recap[PI]["changed"] == 0
    here = [
        entry
        for entry in again.executions
        if entry["host"] in (lab.addresses[PI], PI) and entry["transport"] != "local"
    ]
    assert len(here) <= 2, here
    assert again.recap[PI]["ok"] + again.recap[PI]["skipped"] <= 22
    assert active(pi) == before
    assert fleet.is_(fleet.package(OLD, "--check", "--diff")).recap[PI]["changed"] == 0


@there_and_back
def test_back_to_the_container(fleet: Fleet, pi: Host) -> None:
    broken = fleet.container(_gitlab_runner_mounts=[{}], gitlab_runner_config_options={"purge": True})
    assert broken.code != 0
    assert (active(pi).split()[0], len(processes(pi))) == ("active", 1), broken.output
    number = fleet.running_job("docker")
    fleet.is_(fleet.container(gitlab_runner_config_options={"purge": True}))
    fleet.has_ended(number)
    assert len(processes(pi)) == 1
    assert pi.check_output("docker inspect -f '{{.State.Running}}' gitlab-runner") == "true"
    assert pi.run("dpkg-query -W -f '${Status}' gitlab-runner").stdout != "install ok installed"
    assert pi.check_output("apt-mark showhold") == ""
    assert [path for path in OURS if pi.file(path).exists] == []
    fleet.runs("docker", "true")
    assert fleet.is_(fleet.container()).recap[PI]["changed"] == 0


@takes(90)
@pytest.mark.usefixtures("packaged")
def test_jobs_of_both_executors(fleet: Fleet, pi: Host) -> None:
    assert "I am gitlab-runner" in fleet.runs("shell", "echo I am $(id -un)")
    fleet.runs("docker", "true")
    assert pi.run("id -nG gitlab-runner | grep -w docker").rc == 1
    runners = [DOCKER, SOCKET, {**SHELL, "docker_group": True}]
    pi.check_output(f"echo 'clear_console -q' > {BASH_LOGOUT}")
    fleet.is_(fleet.package(gitlab_runner_runners=runners))
    assert not pi.file(BASH_LOGOUT).exists
    assert "Server" in fleet.runs("shell", "docker version")
    fleet.is_(fleet.package())
    assert pi.run("id -nG gitlab-runner | grep -w docker").rc == 1


@takes(165)
@pytest.mark.usefixtures("packaged")
def test_a_restart_and_a_new_ca_and_a_restarted_engine_lose_no_job(fleet: Fleet, pi: Host) -> None:
    before, number = active(pi), fleet.running_job("shell")
    settings = {"concurrent": 2, "check_interval": 2, "listen_address": "127.0.0.1:9252"}
    fleet.is_(fleet.package(gitlab_runner_global=settings))
    fleet.has_ended(number)
    after = active(pi)
    assert after != before
    fleet.is_(fleet.package(gitlab_runner_global={**settings, "listen_address": None}))

    before, count = active(pi), loaded(pi)
    pi.check_output("for file in /etc/gitlab-runner/certs/*.crt; do echo >> $file; done")
    fleet.is_(fleet.package())
    eventually(lambda: loaded(pi) > count)
    assert active(pi) == before

    number = fleet.running_job("docker")
    fleet.is_(fleet.package(docker_daemon_options={"log-level": "warn"}))
    fleet.has_ended(number)
    assert active(pi) != before
    fleet.is_(fleet.package(docker_daemon_options={"log-level": None}))
    assert fleet.is_(fleet.package()).recap[PI]["changed"] == 0


def loaded(pi: Host) -> int:
    log: str = pi.check_output(f"journalctl --unit {UNIT} --output cat")
    return log.count("Configuration loaded")


def words(play: Play) -> str:
    return " ".join(play.output.split())


def holds(pi: Host) -> list[str]:
    shown: str = pi.check_output("apt-mark showhold")
    return shown.split()


@takes(140)
@pytest.mark.parametrize("playbook", ["pifleet.ci.site", "pifleet.ci.upgrade"])
@pytest.mark.usefixtures("packaged")
def test_another_version_waits_for_jobs(fleet: Fleet, pi: Host, playbook: str) -> None:
    before = active(pi)
    check = fleet.is_(fleet.package(NEW, "--check", playbook=playbook))
    assert "Would run GitLab Runner on pi-01, as package." in check.output
    missing = fleet.package("20.*", playbook=playbook)
    assert f"{PI}: gitlab-runner-helper-images=20.* and gitlab-runner=20.* cannot be had" in words(missing)
    assert (active(pi), pi.file(KEPT).exists) == (before, False)

    number = fleet.running_job("shell")
    with never_two(pi):
        fleet.is_(fleet.package(NEW, playbook=playbook))
    fleet.has_ended(number)
    assert (version(pi), len(processes(pi)), pi.file(KEPT).exists) == (NEW, 1, False)
    assert holds(pi) == ["gitlab-runner", "gitlab-runner-helper-images"]
    before = active(pi)
    assert fleet.is_(fleet.package(NEW, playbook=playbook)).recap[PI]["changed"] == 0
    assert active(pi) == before


@takes(150)
@pytest.mark.parametrize(
    ("wanted", "reason"), [(SILENT, "was not in contact with GitLab within 20 s"), (BROKEN, "E: Sub-process")]
)
@pytest.mark.usefixtures("packaged")
def test_a_version_that_does_not_come_online_is_rolled_back(fleet: Fleet, pi: Host, wanted: str, reason: str) -> None:
    """Without the repository: the way back needs nothing but the Pi."""
    number = fleet.running_job("shell")
    failed = fleet.upgrade(wanted, _gitlab_runner_wait_timeout=20)
    assert failed.code != 0
    fleet.has_ended(number)
    said = f"{PI}: GitLab Runner was rolled back to {OLD} of its package, which runs again, because of its failure with"
    assert f"{said} {wanted}:" in words(failed), failed.output
    assert reason in words(failed)
    assert (active(pi).split()[0], len(processes(pi)), version(pi)) == ("active", 1, OLD)
    assert holds(pi) == ["gitlab-runner", "gitlab-runner-helper-images"]
    assert not pi.file(KEPT).exists
    assert pi.run("dpkg --verify gitlab-runner gitlab-runner-helper-images").stdout == ""
    fleet.runs("shell", "true")
    assert fleet.is_(fleet.package()).recap[PI]["changed"] == 0


@takes(90)
@pytest.mark.parametrize("unpacked", [True, False], ids=["while it was configured", "while it was unpacked"])
@pytest.mark.usefixtures("packaged")
def test_an_upgrade_that_died_while_dpkg_was_at_work_is_finished_by_the_next(
    fleet: Fleet, pi: Host, unpacked: bool
) -> None:
    """As with the power: the play and what it runs on the Pi are gone at the same moment."""
    mark = uuid.uuid4().hex
    pi.check_output("touch /run/lab-installation-waits")
    dying = threading.Thread(target=fleet.upgrade, args=(NEW,), kwargs={"environment": {MARK: mark}})
    dying.start()
    try:
        eventually(lambda: pi.run("pgrep -f 'gitlab-runner[.]postinst'").rc == 0, timeout=300)
        kill_all(mark)
        pi.check_output("pkill -KILL -x 'apt-get|dpkg'; pkill -KILL -f 'gitlab-runner[.]postinst'")
    finally:
        pi.check_output("rm /run/lab-installation-waits")
        dying.join()
    assert pi.check_output(f"cat {KEPT}/version") == OLD
    assert pi.check_output("ls /var/lib/dpkg/updates") != "", "dpkg was interrupted"
    if not unpacked:
        pi.check_output("dpkg --configure gitlab-runner-helper-images; rm /usr/bin/gitlab-runner")
        pi.check_output(
            "sed -i 's/^Status: .* half-configured$/Status: hold reinstreq half-installed/' /var/lib/dpkg/status"
        )

    play = fleet.is_(fleet.upgrade(NEW))
    assert (active(pi).split()[0], len(processes(pi)), version(pi)) == ("active", 1, NEW), play.output
    assert not pi.file(KEPT).exists
    fleet.runs("shell", "true")
    assert fleet.is_(fleet.package(NEW)).recap[PI]["changed"] == 0


@takes(230)
@pytest.mark.usefixtures("packaged")
def test_between_the_package_and_the_service(fleet: Fleet, pi: Host) -> None:
    """A swarm of one node."""
    swarm = {"swarm_managers": [PI], "swarm_workers": []}
    purge = {"gitlab_runner_config_options": {"purge": True}}
    try:
        number = fleet.running_job("docker")
        with never_two(pi):
            fleet.is_(fleet.play(gitlab_runner_deployment="service", **purge, **swarm))
        fleet.has_ended(number)
        assert pi.check_output("docker service ls -q -f name=gitlab-runner") != ""
        assert pi.run("dpkg-query -W -f '${Status}' gitlab-runner").stdout != "install ok installed"
        fleet.runs("docker", "true")

        number = fleet.running_job("docker")
        with never_two(pi):
            fleet.is_(fleet.package(**swarm))
        fleet.has_ended(number)
        assert pi.check_output("docker service ls -q -f name=gitlab-runner") == ""
        assert (version(pi), len(processes(pi))) == (OLD, 1)
        fleet.runs("shell", "true")
    finally:
        pi.run("docker swarm leave --force")


@takes(115)
@pytest.mark.usefixtures("packaged")
def test_packages_of_the_control_node(fleet: Fleet, offer: Offer, pi: Host) -> None:
    debs = [{"path": str(deb), "sha256": "0" * 64} for deb in offer.debs[NEW]]
    wrong = fleet.package(gitlab_runner_package={"version": NEW, "debs": debs})
    assert "does not have the sha256 of gitlab_runner_package.debs" in " ".join(wrong.output.split())
    assert version(pi) == OLD
    debs = [{"path": str(deb), "sha256": hashlib.sha256(deb.read_bytes()).hexdigest()} for deb in offer.debs[NEW]]
    new = {"version": NEW, "debs": debs}
    half = fleet.package(gitlab_runner_package={"version": NEW, "debs": debs[:1]})
    assert "needs gitlab-runner in version 19.4.0-1" in " ".join(half.output.split())
    fleet.is_(fleet.package(gitlab_runner_package=new))
    assert version(pi) == NEW
    assert fleet.is_(fleet.package(gitlab_runner_package=new)).recap[PI]["changed"] == 0


@takes(110)
@pytest.mark.usefixtures("packaged")
def test_the_package_leaves_with_the_pi(fleet: Fleet, gitlab: GitLab, pi: Host) -> None:
    number = fleet.running_job("shell")
    fleet.is_(fleet.package(OLD, "-e", f"pifleet_hosts={PI}", playbook="pifleet.ci.remove"))
    fleet.has_ended(number)
    assert processes(pi) == []
    assert [path for path in (*OURS, "/etc/gitlab-runner") if pi.file(path).exists] == []
    assert pi.run("dpkg-query -W -f '${Status}' gitlab-runner").stdout != "install ok installed"
    assert [runner for runner in gitlab.runners() if PI in runner["tag_list"]] == []
    again = fleet.is_(fleet.package(OLD, "-e", f"pifleet_hosts={PI}", playbook="pifleet.ci.remove"))
    assert again.recap[PI]["changed"] == 0
