# SPDX-License-Identifier: GPL-3.0-or-later
"""upgrade.yml: newer packages and images, a batch of Pis after the other, and back to what worked if they do not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawing import takes
from integration.scenarios import SCENARIO, only_in
from lab.fleet import GitLab, Lab, Play
from lab.offers import IMAGE_LABEL, offer_engine, push_runner, restore_runner, withdraw_engine
from testinfra.host import Host

RUNNER = "gitlab-runner:lab"
BROKEN_PACKAGE = "printf '#!/bin/sh\\nexit 1\\n' >tree/DEBIAN/preinst; chmod 755 tree/DEBIAN/preinst"
CONTAINER = "$(docker ps -q --filter name=gitlab-runner)"
pytestmark = pytest.mark.timeout(1500)


def upgrade(lab: Lab, *arguments: str) -> Play:
    return lab.play(*arguments, playbook="pifleet.ci.upgrade")


def running_image(pi: Host) -> str:
    """The label of the image that GitLab Runner runs with on the Pi."""
    shown: str = pi.check_output(f"docker inspect -f '{{{{index .Config.Labels \"{IMAGE_LABEL}\"}}}}' {CONTAINER}")
    return shown


def started(pi: Host) -> str:
    shown: str = pi.check_output(f"docker inspect -f '{{{{.State.StartedAt}}}}' {CONTAINER}")
    return shown


def words(play: Play) -> str:
    return " ".join(play.output.split())


def changes(play: Play) -> dict[str, int]:
    return {host: numbers["changed"] for host, numbers in play.recap.items()}


def assert_whole(lab: Lab, gitlab: GitLab) -> None:
    """The Pis run jobs, and site finds nothing to do."""
    for name in lab.addresses:
        assert gitlab.run_job(script=["true"], tag_list=[name, "docker"])["status"] == "success"
    play = lab.play()
    assert (play.code, changes(play)) == (0, dict.fromkeys(lab.addresses, 0)), play.output


@pytest.fixture(scope="module", autouse=True)
def offers(lab: Lab) -> Iterator[None]:
    """Nothing that is offered here stays on offer."""
    yield
    restore_runner(lab, RUNNER)
    for name in lab.addresses:
        withdraw_engine(lab, name)


@takes(110)
def test_another_image_under_the_tag_runs_on_every_pi_that_answers(
    lab: Lab, gitlab: GitLab, pis: dict[str, Host], tmp_path: Path
) -> None:
    gone = tmp_path / "gone.ini"
    gone.write_text("[pis]\ngone ansible_host=127.0.0.1 ansible_port=1\n")
    push_runner(lab, RUNNER, "newer")
    site = lab.play()
    assert (site.code, changes(site)) == (0, dict.fromkeys(pis, 0)), "site does not ask the registry"

    number = gitlab.call("POST", "/jobs", script=["sleep 60", "echo ended"], tag_list=["pi-02", "docker"])["id"]
    gitlab.wait_for_job(number, ["running"], timeout=30)
    play = upgrade(lab, "-i", str(gone))
    job = gitlab.call("GET", f"/jobs/{number}")
    assert (job["status"], "ended" in job["trace"]) == ("success", True), job["trace"]
    assert {name: running_image(pi) for name, pi in pis.items()} == dict.fromkeys(pis, "newer"), play.output
    assert play.code != 0
    assert "Unreachable: gone." in words(play)
    assert "--limit gone" in words(play)
    assert pis["pi-01"].check_output("docker image ls -q gitlab-runner:previous") == ""

    before = {name: started(pi) for name, pi in pis.items()}
    for again in (upgrade(lab, "--check"), upgrade(lab)):
        assert (again.code, changes(again)) == (0, dict.fromkeys(pis, 0)), again.output
    assert {name: started(pi) for name, pi in pis.items()} == before
    assert_whole(lab, gitlab)


@takes(80)
def test_an_image_that_does_not_come_online_is_rolled_back(lab: Lab, gitlab: GitLab, pis: dict[str, Host]) -> None:
    before = {name: (running_image(pi), started(pi)) for name, pi in pis.items()}
    push_runner(lab, RUNNER, "broken", 'ENTRYPOINT ["/usr/bin/dumb-init", "/usr/bin/busybox"]', 'CMD ["sleep", "1000"]')
    play = upgrade(lab, "-e", json.dumps({"_gitlab_runner_wait_timeout": 20}))
    assert play.code != 0
    what = {"default": "GitLab Runner", "swarm": "the service"}[SCENARIO]
    assert f"pi-01: {what} was rolled back to" in words(play)
    assert "was not in contact with GitLab within 20 s" in words(play)
    assert {name: running_image(pi) for name, pi in pis.items()} == {name: image for name, (image, _) in before.items()}
    if SCENARIO == "default":
        assert "Failed: pi-01;" in words(play)
        assert f"--limit {','.join(pis)}" in words(play)
        assert started(pis["pi-02"]) == before["pi-02"][1], "the first failure is enough"
    restore_runner(lab, RUNNER)
    assert_whole(lab, gitlab)


@takes(70)
def test_a_package_that_cannot_be_installed_leaves_the_runner_running(
    lab: Lab, gitlab: GitLab, pis: dict[str, Host]
) -> None:
    offer_engine(lab, "pi-01", 1, BROKEN_PACKAGE)
    offer_engine(lab, "pi-02", 1)
    before = started(pis["pi-01"])
    play = upgrade(lab, "-e", "pifleet_max_failures=1", "-e", "pifleet_serial=50%")
    assert play.code != 0
    assert {host: numbers["failed"] for host, numbers in play.recap.items()} == {**dict.fromkeys(pis, 0), "pi-01": 1}
    assert "--limit pi-01" in words(play)
    assert started(pis["pi-01"]) != before, "it was stopped for the package"
    assert pis["pi-02"].check_output("dpkg-query -W -f '${Version}' docker.io").endswith("+lab1")
    assert_whole(lab, gitlab)


@only_in("default")
@takes(14)
def test_nothing_stops_for_a_package_beside_which_jobs_can_run(lab: Lab, pis: dict[str, Host]) -> None:
    pis["pi-02"].check_output("dpkg --force-depends --remove python3-docker")
    before = started(pis["pi-02"])
    assert upgrade(lab, "--limit", "pi-02").code == 0
    assert started(pis["pi-02"]) == before
    assert pis["pi-02"].package("python3-docker").is_installed


@only_in("default")
@takes(20)
def test_a_pi_that_asks_for_a_reboot_gets_one_where_that_is_wanted(lab: Lab, pis: dict[str, Host]) -> None:
    # In check mode: a simulated Pi has the boot ID of this machine, so a reboot of it cannot be noticed.
    pis["pi-02"].check_output("touch /run/reboot-required")
    for variables, rebooted in ({"pifleet_reboot": True}, ["pi-02"]), ({}, []):
        play = upgrade(lab, "--check", "-e", json.dumps(variables))
        tasks = play.output.split("TASK [")  # each batch has this one
        seen = "".join(task for task in tasks if "Reboot the host]" in task.partition("\n")[0])
        assert (play.code, re.findall(r"changed: \[(.*?)\]", seen)) == (0, rebooted), play.output
    pis["pi-02"].check_output("rm /run/reboot-required")


@only_in("default")
@takes(12)
def test_what_is_no_batch_is_refused_before_anything_stops(lab: Lab, pis: dict[str, Host]) -> None:
    before = {name: started(pi) for name, pi in pis.items()}
    play = upgrade(lab, "-e", "pifleet_serial=few")
    assert play.code != 0
    assert "'few' is no size of a batch" in words(play)
    assert {name: started(pi) for name, pi in pis.items()} == before
