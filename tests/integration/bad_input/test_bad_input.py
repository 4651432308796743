# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes of users and misfortunes of Pis: one clear sentence each, and nothing half done."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from drawing import takes
from fake_gitlab import tls
from lab.fleet import GitLab, Lab, Play
from testinfra.host import Host

CONFIG = "/etc/gitlab-runner/config.toml"
DOCKER = {"name": "docker", "gitlab": {"tag_list": ["rpi"]}, "config": {"docker": {"image": "debian:bookworm"}}}
MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no GitLab URL": ({"gitlab_runner_url": ""}, ["gitlab_runner_url", "https://"]),
    "no credential": ({"gitlab_runner_api_token": ""}, ["gitlab_runner_api_token", "create_runner"]),
    "two credentials": (
        {"gitlab_runner_registration_token": "GR1348941x"},
        ["one of gitlab_runner_api_token and gitlab_runner_registration_token"],
    ),
    "no tags and run_untagged false": (
        {"gitlab_runner_runners": [{**DOCKER, "gitlab": {"tag_list": [], "run_untagged": False}}]},
        ["docker", "tag_list", "run_untagged"],
    ),
    "unknown global key": ({"gitlab_runner_global": {"concurent": 2}}, ["concurent", "concurrent"]),
    "global key of wrong type": ({"gitlab_runner_global": {"concurrent": "many"}}, ["concurrent", "integer"]),
    "shell in a container": (
        {"gitlab_runner_runners": [{**DOCKER, "config": {"executor": "shell"}}]},
        ["docker of pi-0", "has the executor shell", "use the executor docker"],
    ),
    "cache with half of its credentials": (
        {"gitlab_runner_defaults": {"config": {"cache": {"Type": "s3", "s3": {"BucketName": "b", "AccessKey": "a"}}}}},
        ["cache.s3 has credentials without SecretKey", "give both keys"],
    ),
    "name twice": ({"gitlab_runner_runners": [DOCKER, DOCKER]}, ["gitlab_runner_runners", "docker"]),
}
"""Settings, and words of the sentence that refuses them."""


def said(play: Play, host: str) -> str:
    """The message with which the play ended for a host, on one line."""
    found = re.findall(rf"^(?:fatal|failed): \[{host}.*?(?=^\S|\Z)", play.output, re.MULTILINE | re.DOTALL)
    assert found, play.output
    message = re.search(r"^    msg: (.*?)(?=^    \w|\Z)", found[-1], re.MULTILINE | re.DOTALL)
    assert message, found[-1]
    return re.sub(r"\s+", " ", message[1].strip("|->'\n ")).replace("''", "'")


@contextmanager
def untouched(gitlab: GitLab, pis: dict[str, Host]) -> Iterator[None]:
    """Expect that the Pis' files and what stands in GitLab are the same afterwards."""
    look = "find /etc/gitlab-runner /etc/docker/daemon.json -type f -exec sha256sum {} +"
    files = {name: pi.check_output(look) for name, pi in pis.items()}
    gitlab.call("DELETE", "/journal")
    yield
    assert {name: pi.check_output(look) for name, pi in pis.items()} == files
    assert gitlab.writes() == []


@pytest.mark.parametrize("mistakes", [list(MISTAKES)[first : first + 3] for first in range(0, len(MISTAKES), 3)])
def test_wrong_settings(lab: Lab, gitlab: GitLab, pis: dict[str, Host], mistakes: list[str], tmp_path: Path) -> None:
    """Each Pi of a play has another mistake in its settings."""
    made = {name: MISTAKES[mistake] for name, mistake in zip(pis, mistakes, strict=False)}
    hosts = {name: variables for name, (variables, _words) in made.items()}
    (tmp_path / "mistakes.json").write_text(json.dumps({"pis": {"hosts": hosts}}))
    with untouched(gitlab, pis):
        play = lab.play("-i", str(tmp_path / "mistakes.json"), "--limit", ",".join(made))
    assert play.code != 0
    assert gitlab.requests_of_ansible() == {}, "this is seen without asking GitLab"
    for name, (_variables, words) in made.items():
        message = said(play, name)
        assert not [word for word in words if word not in message], message
        assert "Traceback" not in message


def test_a_ca_that_does_not_match(lab: Lab, gitlab: GitLab, pis: dict[str, Host], tmp_path: Path) -> None:
    tls.make(tmp_path, ["gitlab.elsewhere"])
    name = "pi-02"
    with untouched(gitlab, pis):
        play = lab.play("--limit", name, "-e", f"gitlab_runner_ca_file={tmp_path / 'ca.crt'}")
    assert play.code != 0
    message = said(play, name)
    assert "its certificate is not signed by an authority the control node knows; ca_path names" in message


def test_gitlab_is_unreachable(lab: Lab, gitlab: GitLab, pis: dict[str, Host]) -> None:
    name = "pi-02"
    with untouched(gitlab, pis):
        play = lab.play("--limit", name, "-e", "gitlab_runner_url=https://127.0.0.1:1")
    assert play.code != 0
    assert "https://127.0.0.1:1" in said(play, name)


def test_no_image_for_a_32_bit_system(lab: Lab, gitlab: GitLab, pis: dict[str, Host]) -> None:
    with untouched(gitlab, pis):
        play = lab.play("--limit", "pi-03", "-e", "gitlab_runner_image=")
    message = said(play, "pi-03")
    assert not [word for word in ("pi-03", "armhf", "64-bit", "gitlab_runner_image") if word not in message], message


def test_two_pis_from_one_card(lab: Lab, gitlab: GitLab, pis: dict[str, Host]) -> None:
    own = pis["pi-03"].check_output("cat /etc/machine-id")
    pis["pi-03"].check_output("echo %s > /etc/machine-id", pis["pi-02"].check_output("cat /etc/machine-id"))
    try:
        with untouched(gitlab, pis):
            play = lab.play("--limit", "pi-02,pi-03")
    finally:
        pis["pi-03"].check_output("echo %s > /etc/machine-id", own)
    for name in ("pi-02", "pi-03"):
        assert "pi-02 and pi-03 have the same machine-id" in said(play, name)


def test_an_unreachable_pi_does_not_stop_the_others(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "moved.ini").write_text("[pis]\npi-02 ansible_port=1\n")
    play = lab.play("-i", str(tmp_path / "moved.ini"))
    assert play.recap["pi-02"]["unreachable"] == 1
    for name in ("pi-01", "pi-03"):
        assert (play.recap[name]["failed"], play.recap[name]["changed"]) == (0, 0), play.output
    assert "Wait until every runner is online in GitLab" in play.output


def test_a_pi_without_python(lab: Lab, pis: dict[str, Host]) -> None:
    program = pis["pi-02"].check_output("readlink -f /usr/bin/python3")
    pis["pi-02"].check_output(f"mv {program} {program}.away")
    try:
        play = lab.play("--limit", "pi-02,pi-03")
    finally:
        pis["pi-02"].check_output(f"mv {program}.away {program}")
    message = said(play, "pi-02")
    assert "pi-02" in message
    assert "apt install python3" in message.replace("apt-get", "apt")
    assert play.recap["pi-03"]["failed"] == 0


def test_a_wrong_become_password(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "wrong.ini").write_text("[pis]\npi-01 ansible_become_password=wrong\n")
    play = lab.play("--limit", "pi-01,pi-03", "-i", str(tmp_path / "wrong.ini"))
    message = said(play, "pi-01")
    assert "pi-01" in message
    assert "ansible_become_password" in message
    assert play.recap["pi-03"]["failed"] == 0


@takes(45)
def test_a_runner_that_does_not_come_up(lab: Lab, pis: dict[str, Host]) -> None:
    # An image in which no GitLab Runner is: its container starts and ends, again and again.
    image = lab.variables["lab_job_image"]
    name = "pi-02"
    play = lab.play("--limit", name, "-e", f"gitlab_runner_image={image}", "-e", "_gitlab_runner_wait_timeout=9")
    message = said(play, name)
    assert "was not in contact with GitLab" in message
    assert image in message, "what Docker knows about the container"
    healed = lab.play("--limit", name)
    assert healed.code == 0, healed.output
    assert healed.recap[name]["changed"] > 0, "the right image heals it"


@contextmanager
def full_disk(pi: Host, *, keep: bool) -> Iterator[None]:
    """Put a full file system of a few kilobytes over the configuration directory, with its files or empty."""
    pi.check_output("mkdir -p /run/kept && cp -a /etc/gitlab-runner/. /run/kept/")
    pi.check_output("mount -t tmpfs -o size=64k,mode=0700 tmpfs /etc/gitlab-runner")
    try:
        if keep:
            pi.check_output("cp -a /run/kept/. /etc/gitlab-runner/")
        pi.run("dd if=/dev/zero of=/etc/gitlab-runner/ballast bs=4k")
        yield
    finally:
        pi.check_output("umount /etc/gitlab-runner && rm -rf /run/kept")


@pytest.mark.parametrize("keep", [True, False], ids=["changed settings", "a lost config.toml"])
def test_a_full_disk_on_the_pi(lab: Lab, gitlab: GitLab, pis: dict[str, Host], keep: bool) -> None:
    name, pi = "pi-02", pis["pi-02"]
    look = f"sha256sum {CONFIG}; ls -A /etc/gitlab-runner"
    with full_disk(pi, keep=keep):
        before = pi.run(look).stdout
        gitlab.call("DELETE", "/journal")
        play = lab.play("--limit", name, "-e", json.dumps({"gitlab_runner_global": {"concurrent": 3}}))
        after = pi.run(look).stdout
    message = said(play, name)
    assert "the disk is full" in message
    assert "/etc/gitlab-runner" in message
    assert after == before
    assert gitlab.writes() == [], "no token may be made or reset that cannot be written down"
