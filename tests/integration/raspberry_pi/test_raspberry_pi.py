# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's memory controller: cmdline.txt, the reboot after the jobs, and the way back.

A simulated Pi has the kernel of this machine. Files over those of /proc and /sys show it another one, until it reboots.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from drawing import takes
from lab.fleet import GitLab, Lab, Play
from lab.host import docker
from testinfra.host import Host

PATH = "/boot/firmware/cmdline.txt"
BACKUP = f"{PATH}.pifleet-ci"
STUB = "/boot/cmdline.txt"
WORDS = "cgroup_enable=memory cgroup_memory=1"
RUNNING = "docker ps --quiet --filter name=gitlab-runner"
MEMORY: dict[str, Any] = {"raspberry_pi_memory_cgroup": True}
REBOOT = {**MEMORY, "raspberry_pi_reboot": True}

# With a boot ID of its own a restart of the container is a reboot for Ansible.
SIMULATE = f"""set -eu
mkdir -p /run/simulated
echo {{boot_id}} >/run/simulated/boot_id
echo "$(cat {PATH}) {{words}}" >/run/simulated/cmdline
mount --bind /run/simulated/boot_id /proc/sys/kernel/random/boot_id
mount --bind /run/simulated/cmdline /proc/cmdline
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  sed 's/memory//' /sys/fs/cgroup/cgroup.controllers >/run/simulated/controllers
  mount --bind /run/simulated/controllers /sys/fs/cgroup/cgroup.controllers
else
  sed 's/^\\(memory.*\\)1$/\\10/' /proc/cgroups >/run/simulated/controllers
  mount --bind /run/simulated/controllers /proc/cgroups
fi
"""


def play(lab: Lab, name: str, *arguments: str, playbook: str = "pifleet.ci.site", **variables: Any) -> Play:
    return lab.play("--limit", name, "-e", json.dumps(variables), *arguments, playbook=playbook)


def simulate(pi: Host, words: str = "") -> None:
    """Have the kernel lack its memory controller, and have been started with what cmdline.txt has and these words."""
    pi.check_output(SIMULATE.format(boot_id=uuid.uuid4(), words=words))


# systemd's shutdown asks logind, which a simulated Pi does not have.
SHUTDOWN = """#!/bin/sh
systemctl start reboot.target --job-mode=replace-irreversibly --no-block
"""


def forget(pi: Host) -> None:
    pi.run("umount /proc/cgroups /sys/fs/cgroup/cgroup.controllers /proc/cmdline /proc/sys/kernel/random/boot_id")


def started(lab: Lab, name: str) -> str:
    return docker("inspect", "--format", "{{.State.StartedAt}}", f"pifleet-{lab.folder.name}-{name}")


def executions(lab: Lab, name: str, done: Play) -> list[str]:
    """The modules that were executed on the Pi."""
    there = [entry for entry in done.executions if entry["host"] in (lab.addresses[name], name)]
    return [entry["module"].rpartition(".")[2] for entry in there if entry["transport"] != "local"]


def words(done: Play) -> str:
    return " ".join(done.output.split())


@pytest.fixture
def name(pis: dict[str, Host]) -> str:
    """The last Pi; in a swarm that is a worker."""
    return max(pis)


@pytest.fixture
def pi(lab: Lab, pis: dict[str, Host], name: str) -> Iterator[Host]:
    """A Pi that comes up again after a reboot. In the end its boot partition is as it was."""
    pi, container = pis[name], f"pifleet-{lab.folder.name}-{name}"
    line, stub = pi.file(PATH).content_string, pi.file(STUB).content_string
    docker("update", "--restart", "always", container)
    pi.check_output(f"rm /sbin/shutdown && echo '{SHUTDOWN}' >/sbin/shutdown && chmod 0755 /sbin/shutdown")
    yield pi
    docker("update", "--restart", "no", container)
    pi.check_output("ln -sf /bin/systemctl /sbin/shutdown")
    forget(pi)
    assert pi.file(STUB).content_string == stub
    assert not pi.file(BACKUP).exists
    assert pi.file(PATH).content_string == line


@takes(120)
def test_from_cmdline_txt_to_the_memory_controller_and_back(lab: Lab, gitlab: GitLab, pi: Host, name: str) -> None:
    line = pi.file(PATH).content_string
    simulate(pi)
    booted = started(lab, name)
    for number in (1, 2):
        done = play(lab, name, "--diff", **MEMORY)
        assert (done.code, done.recap[name]["changed"]) == (0, 2 - number), done.output
        assert f"{name} has to reboot for its memory controller: reboot it, or set" in words(done)
        assert pi.file(PATH).content_string == line.replace("\n", f" {WORDS}\n")
        assert pi.file(BACKUP).content_string == line
        assert started(lab, name) == booted

    job = gitlab.call("POST", "/jobs", script=["sleep 25", "echo ended"], tag_list=[name, "docker"])["id"]
    gitlab.wait_for_job(job, ["running"], timeout=60)
    checked = play(lab, name, "--check", **REBOOT)
    assert (checked.code, started(lab, name)) == (0, booted), checked.output
    done = play(lab, name, **REBOOT)
    assert done.code == 0, done.output
    assert started(lab, name) != booted
    ended = gitlab.call("GET", f"/jobs/{job}")
    assert (ended["status"], "ended" in ended["trace"]) == ("success", True), ended["trace"]
    assert pi.check_output(RUNNING)
    assert not pi.file("/etc/gitlab-runner/.restart-pending").exists

    booted = started(lab, name)
    again = play(lab, name, **REBOOT)
    assert (again.code, again.recap[name]["changed"]) == (0, 0), again.output
    assert "kernel_parameters" not in executions(lab, name, again)
    assert started(lab, name) == booted

    done = play(lab, name)
    assert (done.code, done.recap[name]["changed"]) == (0, 1), done.output
    assert pi.file(PATH).content_string == line
    assert started(lab, name) == booted


@takes(90)
def test_the_playbook_upgrade_reboots_for_a_setting(lab: Lab, pi: Host, name: str) -> None:
    simulate(pi)
    booted = started(lab, name)
    done = play(lab, name, playbook="pifleet.ci.upgrade", **REBOOT)
    assert done.code == 0, done.output
    assert started(lab, name) != booted
    assert "Upgrade the batch of the host" in done.output
    assert pi.check_output(RUNNING)
    assert play(lab, name).code == 0


@takes(20)
def test_a_kernel_that_ignores_the_parameters(lab: Lab, pi: Host, name: str) -> None:
    simulate(pi, WORDS)
    done = play(lab, name, **REBOOT)
    assert done.code != 0
    assert f"{name}: the kernel was started with {WORDS} and has no memory controller all the same" in words(done)
    assert done.recap[name]["changed"] == 0


@takes(90)
def test_journal_and_watchdog(lab: Lab, pi: Host, name: str) -> None:
    refused = play(lab, name, raspberry_pi_watchdog=15)
    assert f"{name} has no /dev/watchdog" in words(refused)
    assert refused.recap[name]["changed"] == 0

    pi.check_output("mount -t tmpfs tmpfs /sys/class/misc && mkdir /sys/class/misc/watchdog")
    pi.check_output("echo 10:130 >/sys/class/misc/watchdog/dev")
    wanted = {
        "raspberry_pi_journal_storage": "volatile",
        "raspberry_pi_journal_size": "20M",
        "raspberry_pi_watchdog": 15,
    }
    done = play(lab, name, **wanted)
    assert done.code == 0, done.output
    assert pi.check_output("systemctl show --property RuntimeWatchdogUSec --value") == "15s"
    assert "max 20" in pi.check_output("journalctl --output cat --identifier systemd-journald --lines 3")
    assert pi.run("test -e /run/pifleet-ci-journal.pending -o -e /run/pifleet-ci-watchdog.pending").rc == 1
    again = play(lab, name, **wanted)
    assert (again.code, again.recap[name]["changed"]) == (0, 0), again.output

    pi.check_output("umount /sys/class/misc")
    back = play(lab, name)
    assert back.code == 0, back.output
    assert pi.check_output("systemctl show --property RuntimeWatchdogUSec --value") == "0"
    for directory in ("journald.conf.d", "system.conf.d"):
        assert not pi.file(f"/etc/systemd/{directory}/pifleet-ci.conf").exists


PACKAGE = """set -eu
mkdir -p /tmp/swap/DEBIAN
for line in 'Package: dphys-swapfile' 'Version: 1' 'Architecture: all' 'Maintainer: lab' 'Description: lab'; do
  echo "$line" >>/tmp/swap/DEBIAN/control
done
dpkg-deb --build /tmp/swap /tmp/swap.deb
dpkg --install /tmp/swap.deb
rm -r /tmp/swap /tmp/swap.deb
echo CONF_SWAPSIZE=512 >/etc/dphys-swapfile
"""


@takes(120)
def test_swap_waits_for_a_reboot(lab: Lab, pi: Host, name: str) -> None:
    """In the package is nothing but its name: what the role writes, and when it reboots."""
    pi.check_output(PACKAGE)
    simulate(pi)
    done = play(lab, name, raspberry_pi_swap_size=1024)
    assert (done.code, done.recap[name]["changed"]) == (0, 2), done.output
    assert f"{name} has to reboot for its swap: reboot it" in words(done)
    assert "CONF_SWAPSIZE=1024\nCONF_MAXSWAP=1024\n" in pi.file("/etc/dphys-swapfile").content_string
    booted = started(lab, name)
    done = play(lab, name, raspberry_pi_swap_size=1024, raspberry_pi_reboot=True)
    assert done.code == 0, done.output
    assert started(lab, name) != booted
    again = play(lab, name, raspberry_pi_swap_size=1024, raspberry_pi_reboot=True)
    assert (again.code, again.recap[name]["changed"]) == (0, 0), again.output
    back = play(lab, name)
    assert back.code == 0, back.output
    assert pi.file("/etc/dphys-swapfile").content_string == "CONF_SWAPSIZE=512\n"
    pi.check_output("dpkg --purge dphys-swapfile && rm /etc/dphys-swapfile /run/pifleet-ci-swap.pending")


REMOVE = [
    {
        "hosts": "pis",
        "gather_facts": False,
        "become": True,
        "tasks": [{"ansible.builtin.import_role": {"name": "pifleet.ci.raspberry_pi", "tasks_from": "remove"}}],
    }
]


@takes(60)
def test_removal_takes_back_what_the_inventory_still_asks_for(lab: Lab, pi: Host, name: str, tmp_path: Path) -> None:
    playbook = tmp_path / "remove.yml"
    playbook.write_text(json.dumps(REMOVE))
    inventory = tmp_path / "group_vars" / "pis.yml"
    inventory.parent.mkdir()
    inventory.write_text(json.dumps({**REBOOT, "raspberry_pi_reboot": False, "raspberry_pi_journal_size": "20M"}))
    simulate(pi)
    done = play(lab, name, "-i", str(tmp_path))
    assert (done.code, done.recap[name]["changed"] > 1) == (0, True), done.output
    assert WORDS in pi.file(PATH).content_string
    for changed in (True, False):
        done = play(lab, name, "-i", str(tmp_path), playbook=str(playbook))
        assert (done.code, done.recap[name]["changed"] > 0) == (0, changed), done.output
    assert WORDS not in pi.file(PATH).content_string
    assert not pi.file("/etc/systemd/journald.conf.d/pifleet-ci.conf").exists


@takes(40)
def test_under_voltage_is_reported_and_costs_nothing(lab: Lab, pi: Host, name: str) -> None:
    wanted = {"raspberry_pi_report_throttling": True}
    pi.check_output("printf '#!/bin/sh\\necho throttled=0x10001\\n' >/usr/bin/vcgencmd && chmod 0755 /usr/bin/vcgencmd")
    reported = play(lab, name, **wanted)
    silent = play(lab, name)
    pi.check_output("rm /usr/bin/vcgencmd")
    assert (reported.code, reported.recap[name]["changed"]) == (0, 0), reported.output
    assert f"{name} reports under-voltage now, under-voltage since boot." in words(reported)
    assert executions(lab, name, reported) == executions(lab, name, silent)
    assert "under-voltage" not in silent.output


@takes(15)
def test_a_memory_limit_without_effect_is_a_warning_with_the_role_off(lab: Lab, pi: Host, name: str) -> None:
    simulate(pi)
    docker_options = {"image": "{{ lab_job_image }}", "memory": "512m"}
    runner = {"name": "docker", "gitlab": {"tag_list": ["rpi"]}, "config": {"docker": docker_options}}
    done = play(lab, name, "--check", "--tags", "gitlab_runner", gitlab_runner_runners=[runner])
    assert done.code == 0, done.output
    assert f"{name}: docker.memory of docker has" in words(done)
    assert "no effect, because the kernel was started without its memory controller" in words(done)
