# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of a Pi fills: what is unused goes, then GitLab Runner ends after its jobs, and comes back with the space.

The engine's data-root is moved to a small file system for that, by the role docker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from integration.scenarios import SCENARIO, takes
from lab.fleet import GitLab, Lab, Play, eventually
from testinfra.host import Host

DISK = "/mnt/small"
MB = 10**6
SIZE, CLEANUP_BELOW, MINIMUM_FREE = 1600 * MB, 400 * MB, 150 * MB
SETTINGS = {
    "disk_space_state": "present",
    "disk_space_cleanup_below": "400MB",
    "disk_space_minimum_free": "150MB",
    "disk_space_interval": 60,  # the tests look by themselves
}
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
TOGETHER = "disk_space"


@pytest.fixture(scope="module")
def name(pis: dict[str, Host]) -> str:
    """The last Pi; in a swarm that is a worker."""
    return max(pis)


def play(lab: Lab, name: str, data_root: str | None, *arguments: str, **variables: Any) -> Play:
    options = {"docker_daemon_options": {"data-root": data_root}, **variables}
    return lab.play("--limit", name, "-e", json.dumps(options), *arguments)


@pytest.fixture(scope="module")
def pi(lab: Lab, pis: dict[str, Host], name: str) -> Iterator[Host]:
    pi = pis[name]
    pi.check_output(f"mkdir -p {DISK} && mount -t tmpfs -o size={SIZE} tmpfs {DISK}")
    done = play(lab, name, f"{DISK}/docker")
    assert done.code == 0, done.output
    yield pi
    pi.run(f"rm -f {DISK}/filler")
    done = play(lab, name, None)
    assert done.code == 0, done.output
    pi.check_output(f"umount {DISK}")


@pytest.fixture
def installed(lab: Lab, pi: Host, name: str) -> None:
    """The role as SETTINGS have it, on an empty disk."""
    pi.check_output(f"rm -f {DISK}/filler")
    done = play(lab, name, f"{DISK}/docker", **SETTINGS)
    assert done.code == 0, done.output


def leave(pi: Host, free: int) -> None:
    """Fill the disk until so many bytes are free."""
    pi.check_output(f"rm -f {DISK}/filler")
    present = int(pi.check_output(f"df --output=avail --block-size=1 {DISK} | tail -n 1"))
    assert present > free
    pi.check_output(f"fallocate -l {present - free} {DISK}/filler")


def look(pi: Host) -> str:
    """Have the program look at the disk, and return what it has said in the journal."""
    since = pi.check_output("date +%s.%N")
    pi.check_output("systemctl start pifleet-disk-space.service")
    said: str = pi.check_output(f"journalctl --identifier pifleet-disk-space --output cat --since @{since}")
    return said


def make_image(pi: Host, tag: str, change: str = "ENV a=b") -> None:
    pi.check_output(
        f"rm -rf /tmp/image && mkdir /tmp/image && head -c {60 * MB} /dev/urandom > /tmp/image/content "
        f"&& tar -C /tmp/image -c . | docker import --change '{change}' - {tag} && rm -r /tmp/image"
    )


def names(pi: Host, kind: str, form: str) -> set[str]:
    return set(pi.check_output(f"docker {kind} ls --format '{form}'").split())


@takes(330, TOGETHER)
@pytest.mark.usefixtures("installed")
def test_what_is_unused_goes_when_space_is_low(gitlab: GitLab, pi: Host, name: str) -> None:
    assert gitlab.run_job(script=["true"], tag_list=[name, "docker-build"])["status"] == "success"  # has a cache volume
    for tag in ("unused:1", "unused:2"):
        make_image(pi, tag)
    make_image(pi, "labelled:1", "LABEL ci.pifleet.keep=1")
    labelled = pi.check_output("docker volume create database && docker volume create --label ci.pifleet.keep=1")
    anonymous = pi.check_output("docker volume create")
    volumes, images = names(pi, "volume", "{{.Name}}"), names(pi, "image", "{{.Repository}}:{{.Tag}}")
    assert [volume for volume in volumes if "-cache-" in volume]
    leave(pi, CLEANUP_BELOW - 5 * MB)
    assert "Removed" not in look(pi), "what is seen for the first time may be about to be used"
    assert (names(pi, "volume", "{{.Name}}"), names(pi, "image", "{{.Repository}}:{{.Tag}}")) == (volumes, images)

    pi.check_output(f'python3 -c "{AGE}"')
    leave(pi, MINIMUM_FREE - 5 * MB)
    said = look(pi)
    assert said.startswith("Removed "), said
    left = names(pi, "image", "{{.Repository}}:{{.Tag}}")
    assert not left & {"unused:1", "unused:2"}
    assert "labelled:1" in left
    assert [image for image in left if "gitlab-runner" in image]
    kept = names(pi, "volume", "{{.Name}}")
    assert set(labelled.split()) <= kept, "the named one and the labelled one"
    assert anonymous not in kept
    assert not [volume for volume in kept if "-cache-" in volume]
    pi.check_output("docker volume rm " + " ".join(labelled.split()))


@takes(330, TOGETHER)
@pytest.mark.usefixtures("installed")
def test_a_full_disk_drains_and_comes_back(lab: Lab, gitlab: GitLab, pi: Host, name: str) -> None:
    first = gitlab.call("POST", "/jobs", script=["sleep 25", "echo ended"], tag_list=[name, "docker"])["id"]
    gitlab.wait_for_job(first, ["running"], timeout=60)
    leave(pi, MINIMUM_FREE - 20 * MB)
    said = look(pi)
    assert f"are free on {DISK}/docker: GitLab Runner takes no new jobs until 400MB are free." in said
    second = gitlab.call("POST", "/jobs", script=["true"], tag_list=[name, "docker"])["id"]
    job = gitlab.wait_for_job(first, ("success", "failed", "canceled"))
    assert (job["status"], "ended" in job["trace"]) == ("success", True), job["trace"]
    eventually(lambda: pi.check_output(RUNNING) == "", timeout=40)

    if SCENARIO == "default":
        pi.check_output("systemctl restart docker")
        assert pi.check_output(RUNNING) == "", "a restart of the engine does not start it"
    done = play(lab, name, f"{DISK}/docker", **SETTINGS)
    assert done.code != 0
    assert f"{name} takes no jobs for lack of disk space." in " ".join(done.output.split())
    assert not [entry for entry in done.executions if "wait" in entry["module"]]
    assert pi.check_output(RUNNING) == ""
    assert gitlab.call("GET", f"/jobs/{second}")["status"] == "pending"

    pi.check_output(f"rm {DISK}/filler")
    assert "GitLab Runner takes jobs again." in look(pi)
    assert gitlab.wait_for_job(second, ("success", "failed"), timeout=60)["status"] == "success"
    again = play(lab, name, f"{DISK}/docker", **SETTINGS)
    assert (again.code, again.recap[name]["changed"]) == (0, 0), again.output
    there = [entry for entry in again.executions if entry["host"] in (lab.addresses[name], name)]
    assert len([entry for entry in there if entry["transport"] != "local"]) == 3


@takes(330, TOGETHER)
@pytest.mark.usefixtures("installed")
def test_a_play_with_room_again_goes_on_at_once(lab: Lab, pi: Host, name: str) -> None:
    leave(pi, MINIMUM_FREE - 20 * MB)
    look(pi)
    eventually(lambda: pi.check_output(RUNNING) == "", timeout=60)
    lower = {**SETTINGS, "disk_space_cleanup_below": "100MB", "disk_space_minimum_free": "50MB"}
    done = play(lab, name, f"{DISK}/docker", **lower)
    assert done.code == 0, done.output
    assert pi.check_output(RUNNING)


@takes(330, TOGETHER)
@pytest.mark.usefixtures("installed")
def test_it_goes_without_a_rest_and_leaves_gitlab_runner_running(lab: Lab, pi: Host, name: str) -> None:
    leave(pi, MINIMUM_FREE - 20 * MB)
    look(pi)
    done = play(lab, name, f"{DISK}/docker")
    assert done.code == 0, done.output
    assert pi.check_output(RUNNING)
    assert [path for path in FILES if pi.file(path).exists] == []
    assert "pifleet-disk-space" not in pi.check_output("systemctl list-units --all --no-legend 'pifleet-*'")
    pi.check_output(f"rm {DISK}/filler")
    assert play(lab, name, f"{DISK}/docker").recap[name]["changed"] == 0
