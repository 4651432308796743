# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of a Pi fills: what is unused goes, then GitLab Runner ends after its jobs, and comes back with the space.

What is filled is a small file system, which the role is told to check; in one test the engine's data-root is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from drawing import takes
from integration.scenarios import SCENARIO, only_in
from lab.fleet import GitLab, Lab, Play, eventually
from testinfra.host import Host

DISK = "/mnt/small"
MB = 10**6
SETTINGS: dict[str, Any] = {
    "disk_space_state": "present",
    "disk_space_cleanup_below": "400MB",
    "disk_space_minimum_free": "150MB",
    "disk_space_interval": 60,  # the tests run the check by themselves
    "disk_space_paths": [DISK],
}
FULL = 130 * MB
RUNNING = "docker ps --quiet --filter name=gitlab-runner"
USAGE = "/var/lib/pifleet-disk-space/usage.json"
AGE = (
    f"import json; found = json.load(open('{USAGE}')); found['usage'] = dict.fromkeys(found['usage'], 0); "
    f"json.dump(found, open('{USAGE}', 'w'))"
)
FILES = (
    "/usr/local/lib/pifleet-disk-space",
    "/var/lib/pifleet-disk-space",
    "/etc/pifleet-disk-space.json",
    "/etc/systemd/system/pifleet-disk-space.service",
    "/etc/systemd/system/pifleet-disk-space.timer",
)


def play(lab: Lab, name: str, **variables: Any) -> Play:
    return lab.play("--limit", name, "-e", json.dumps(variables))


@pytest.fixture
def name(pis: dict[str, Host]) -> str:
    """The last Pi; in a swarm that is a worker."""
    return max(pis)


@pytest.fixture
def pi(lab: Lab, pis: dict[str, Host], name: str) -> Iterator[Host]:
    """Has the small disk, empty, and in the end nothing of the role."""
    pi = pis[name]
    pi.check_output(f"mkdir -p {DISK} && mount -t tmpfs -o size={1600 * MB} tmpfs {DISK}")
    yield pi
    pi.run(f"rm -f {DISK}/filler")
    done = play(lab, name, docker_daemon_options={"data-root": None}, docker_leave_data_behind=True)
    assert done.code == 0, done.output
    pi.check_output(f"umount {DISK}")


def install(lab: Lab, name: str, **variables: Any) -> None:
    done = play(lab, name, **{**SETTINGS, **variables})
    assert done.code == 0, done.output


def space(pi: Host, path: str, column: str = "avail") -> int:
    return int(pi.check_output(f"df --output={column} --block-size=1 {path} | tail -n 1"))


def leave(pi: Host, free: int) -> None:
    """Fill the small disk until so many bytes are free."""
    pi.check_output(f"rm -f {DISK}/filler")
    present = space(pi, DISK)
    assert present > free
    pi.check_output(f"fallocate -l {present - free} {DISK}/filler")


def check(pi: Host) -> str:
    """Have the program check the disk space, and return what it has said in the journal."""
    since = pi.check_output("date +%s.%N")
    pi.check_output("systemctl start pifleet-disk-space.service")
    said: str = pi.check_output(f"journalctl --identifier pifleet-disk-space --output cat --since @{since}")
    return said


def make_image(pi: Host, tag: str, size: int, change: str = "ENV a=b") -> None:
    pi.check_output(
        f"rm -rf /tmp/image && mkdir /tmp/image && head -c {size} /dev/urandom > /tmp/image/content "
        f"&& tar -C /tmp/image -c . | docker import --change '{change}' - {tag} && rm -r /tmp/image"
    )


def images(pi: Host) -> set[str]:
    return set(pi.check_output("docker image ls --format '{{.Repository}}:{{.Tag}}'").split())


def volumes(pi: Host) -> set[str]:
    return set(pi.check_output("docker volume ls --quiet").split())


@takes(60)
def test_what_is_unused_goes_when_space_is_low(lab: Lab, gitlab: GitLab, pi: Host, name: str) -> None:
    """Space is low however much is free: the limit is above it. Nothing that is in use or kept goes for that."""
    free, size = space(pi, "/var/lib/docker"), space(pi, "/var/lib/docker", "size")
    install(lab, name, disk_space_cleanup_below=f"{(free + size) // 2 // MB}MB", disk_space_paths=[])
    assert gitlab.run_job(script=["true"], tag_list=[name, "docker-build"])["status"] == "success"  # has a cache volume
    make_image(pi, "unused:1", MB)
    make_image(pi, "labelled:1", MB, "LABEL ci.pifleet.keep=1")
    named = pi.check_output("docker volume create database && docker volume create --label ci.pifleet.keep=1").split()
    anonymous = pi.check_output("docker volume create")
    pi.check_output("sleep 1")  # what happens in the second of a check is for the next one still in use
    before = images(pi), volumes(pi)
    assert [volume for volume in before[1] if "-cache-" in volume]
    assert "Removed" not in check(pi), "what is seen for the first time may be about to be used"
    assert (images(pi), volumes(pi)) == before

    pi.check_output(f'python3 -c "{AGE}"')
    assert check(pi).startswith("Removed ")
    assert "unused:1" not in images(pi)
    assert "labelled:1" in images(pi)
    assert [image for image in images(pi) if "gitlab-runner" in image]
    assert set(named) <= volumes(pi)
    assert anonymous not in volumes(pi)
    assert not [volume for volume in volumes(pi) if "-cache-" in volume]
    assert check(pi) == ""
    pi.check_output(f"docker volume rm {' '.join(named)} && docker image rm labelled:1")
    assert gitlab.run_job(script=["true"], tag_list=[name, "docker"])["status"] == "success"


@takes(75)
def test_a_full_disk_drains_and_comes_back(lab: Lab, gitlab: GitLab, pi: Host, name: str) -> None:
    install(lab, name)
    first = gitlab.call("POST", "/jobs", script=["sleep 25", "echo ended"], tag_list=[name, "docker"])["id"]
    gitlab.wait_for_job(first, ["running"], timeout=60)
    leave(pi, FULL)
    assert f"are free on {DISK}: GitLab Runner takes no new jobs until 400MB are free." in check(pi)
    second = gitlab.call("POST", "/jobs", script=["true"], tag_list=[name, "docker"])["id"]
    job = gitlab.wait_for_job(first, ("success", "failed", "canceled"))
    assert (job["status"], "ended" in job["trace"]) == ("success", True), job["trace"]
    eventually(lambda: pi.check_output(RUNNING) == "", timeout=40)

    if SCENARIO == "default":
        pi.check_output("systemctl restart docker")
        assert pi.check_output(RUNNING) == "", "a restart of the engine does not start it"
    done = play(lab, name, **SETTINGS)
    assert done.code != 0
    assert f"{name} takes no jobs for lack of disk space." in " ".join(done.output.split())
    assert not [entry for entry in done.executions if "wait" in entry["module"]]
    assert pi.check_output(RUNNING) == ""
    assert gitlab.call("GET", f"/jobs/{second}")["status"] == "pending"

    pi.check_output(f"rm {DISK}/filler")
    assert "GitLab Runner takes jobs again." in check(pi)
    assert gitlab.wait_for_job(second, ("success", "failed"), timeout=60)["status"] == "success"
    again = play(lab, name, **SETTINGS)
    assert (again.code, again.recap[name]["changed"]) == (0, 0), again.output
    there = [entry for entry in again.executions if entry["host"] in (lab.addresses[name], name)]
    assert len([entry for entry in there if entry["transport"] != "local"]) == 2


@takes(60)
def test_plays_on_a_drained_pi(lab: Lab, pi: Host, name: str) -> None:
    """One with lower limits goes on at once; one without the role leaves GitLab Runner running, and no rest of it."""
    install(lab, name)
    leave(pi, FULL)
    check(pi)
    eventually(lambda: pi.check_output(RUNNING) == "", timeout=60)
    install(lab, name, disk_space_cleanup_below="100MB", disk_space_minimum_free="50MB")
    assert pi.check_output(RUNNING)

    leave(pi, 30 * MB)
    check(pi)
    done = play(lab, name)
    assert done.code == 0, done.output
    assert pi.check_output(RUNNING)
    assert [path for path in FILES if pi.file(path).exists] == []
    assert "pifleet-disk-space" not in pi.check_output("systemctl list-units --all --no-legend 'pifleet-*'")
    assert play(lab, name).recap[name]["changed"] == 0


@only_in("default")  # with another data-root a node is no node of its swarm any more
@takes(90)
def test_the_engines_own_disk_fills(lab: Lab, gitlab: GitLab, pi: Host, name: str) -> None:
    """Images go until there is enough space again, and with it no job has to wait."""
    elsewhere = {"docker_daemon_options": {"data-root": f"{DISK}/docker"}}
    refused = play(lab, name, **elsewhere)
    assert "another data-root leaves behind what the engine has" in " ".join(refused.output.split())
    install(lab, name, **elsewhere, docker_leave_data_behind=True, disk_space_paths=[])
    for tag in ("unused:1", "unused:2", "unused:3"):
        make_image(pi, tag, 60 * MB)
    check(pi)
    pi.check_output(f'python3 -c "{AGE}"')
    leave(pi, 300 * MB)
    # Where containerd has its images on another file system, that is named as well.
    others = r"(, \d+\.\d GB of \d+\.\d GB are free on /var/lib/containerd)?"
    said = rf"Removed 2 images \(0\.1 GB\): 0\.4 GB of 1\.6 GB are free on {DISK}/docker{others}\."
    assert re.fullmatch(said, check(pi))
    assert len([image for image in images(pi) if image.startswith("unused")]) == 1
    assert gitlab.run_job(script=["true"], tag_list=[name, "docker"])["status"] == "success"
