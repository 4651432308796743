# SPDX-License-Identifier: GPL-3.0-or-later
"""A pull-through mirror on one Pi, in place of Docker Hub for another: what it pulls, keeps, refuses and leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from drawing import takes
from fake_gitlab import tls
from images import job_image
from integration.scenarios import only_in
from lab.fleet import Lab, Play
from lab.services import REGISTRY_NAME, ensure_registry
from testinfra.host import Host

pytestmark = [only_in("default"), takes(150, "mirror"), pytest.mark.timeout(900)]

MIRROR, PI = "pi-01", "pi-02"
IMAGE = "mirrored:1"  # of Docker Hub
CONFIG = "/etc/docker/registry/mirror.yml"
STORED = "/var/lib/docker-registry/docker/registry/v2/repositories"


@pytest.fixture(scope="module")
def playbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mirror") / "mirror.yml"
    play = {"hosts": MIRROR, "become": True, "gather_facts": False, "roles": ["pifleet.ci.registry_mirror"]}
    path.write_text(yaml.safe_dump([{"name": "Mirror", **play}]))
    return path


@pytest.fixture(scope="module")
def upstream(lab: Lab) -> str:
    """The lab's registry in place of Docker Hub."""
    ensure_registry(lab.folder.name, {f"library/{IMAGE}": job_image()})
    return f"http://{REGISTRY_NAME}"


@pytest.fixture
def engine(lab: Lab, pis: dict[str, Host]) -> Iterator[Play]:
    """The play that has told the other Pi of the mirror."""
    mirrors = [f"http://{lab.addresses[MIRROR]}:5000"]
    yield lab.play("--limit", PI, "--tags", "docker", "-e", json.dumps({"docker_registry_mirrors": mirrors}))
    back = lab.play("--limit", PI, "-e", json.dumps({"docker_daemon_options": {"registry-mirrors": None}}))
    assert back.code == 0, back.output


def run(lab: Lab, playbook: Path, upstream: str, *arguments: str, **settings: Any) -> Play:
    variables = {"registry_mirror_upstream_url": upstream, **settings}
    return lab.play("-e", json.dumps(variables), *arguments, playbook=str(playbook))


def test_the_mirror_is_installed_and_stays_as_it_is(
    lab: Lab, playbook: Path, upstream: str, pis: dict[str, Host]
) -> None:
    assert run(lab, playbook, upstream, "--check").recap[MIRROR]["changed"] == 1
    play = run(lab, playbook, upstream)
    assert play.code == 0, play.output
    again = run(lab, playbook, upstream)
    assert (again.code, again.recap[MIRROR]["changed"]) == (0, 0), again.output
    there = [entry for entry in again.executions if entry["host"] in (lab.addresses[MIRROR], MIRROR)]
    assert len([entry for entry in there if entry["transport"] != "local"]) == 1
    assert run(lab, playbook, upstream, "--check").recap[MIRROR]["changed"] == 0


def test_another_pi_pulls_through_it(lab: Lab, engine: Play, pis: dict[str, Host]) -> None:
    assert engine.code == 0, engine.output
    pis[PI].check_output(f"docker pull --quiet {IMAGE} && docker image rm {IMAGE}")
    assert pis[MIRROR].file(f"{STORED}/library/{IMAGE.split(':')[0]}").exists


def test_the_password_is_seen_nowhere(lab: Lab, playbook: Path, upstream: str, pis: dict[str, Host]) -> None:
    login = {"username": "hub", "password": "a password of the lab"}
    play = run(lab, playbook, upstream, "-vvv", "--diff", registry_mirror_credentials=login)
    assert play.code == 0, play.output
    assert login["password"] not in play.output
    assert pis[MIRROR].check_output("stat -c %a /etc/docker/registry/mirror.env") == "600"
    environment = "tr '\\0' '\\n' </proc/$(systemctl show --property MainPID --value docker-registry)/environ"
    assert f"REGISTRY_PROXY_PASSWORD={login['password']}" in pis[MIRROR].check_output(environment)
    play = run(lab, playbook, upstream)
    assert play.code == 0, play.output
    assert not pis[MIRROR].file("/etc/docker/registry/mirror.env").exists


def test_a_run_that_died_before_the_restart_is_caught_up(
    lab: Lab, playbook: Path, upstream: str, pis: dict[str, Host]
) -> None:
    pis[MIRROR].check_output("touch /etc/docker/registry/mirror.pending")
    play = run(lab, playbook, upstream)
    assert (play.code, play.recap[MIRROR]["changed"] > 0) == (0, True), play.output
    again = run(lab, playbook, upstream)
    assert (again.code, again.recap[MIRROR]["changed"]) == (0, 0), again.output


def test_an_address_that_is_not_the_hosts(lab: Lab, playbook: Path, upstream: str) -> None:
    play = run(lab, playbook, upstream, registry_mirror_address="192.0.2.1")
    assert play.code != 0
    assert "cannot assign requested address" in play.output
    assert run(lab, playbook, upstream).code == 0


def test_with_tls_no_pi_needs_an_exception(
    lab: Lab, playbook: Path, upstream: str, pis: dict[str, Host], tmp_path: Path
) -> None:
    """The other Pi trusts the CA of the mirror, and has no registry without TLS for it."""
    files = tls.make(tmp_path, [lab.addresses[MIRROR]])
    key = Path(files.key).read_text()
    settings = {"registry_mirror_certificate_file": files.certificate, "registry_mirror_private_key": key}
    play = run(lab, playbook, upstream, "-vvv", "--diff", **settings)
    assert play.code == 0, play.output
    assert key.splitlines()[1] not in play.output
    assert run(lab, playbook, upstream, **settings).recap[MIRROR]["changed"] == 0
    assert pis[MIRROR].check_output("stat -c '%a %U' /etc/docker/registry/mirror.key") == "600 root"
    address = f"{lab.addresses[MIRROR]}:5000"
    mirror = {"docker_registry_mirrors": [f"https://{address}"], "docker_registry_ca_files": {address: files.ca}}
    engine = lab.play("--limit", PI, "--tags", "docker", "-e", json.dumps(mirror))
    assert engine.code == 0, engine.output
    pis[PI].check_output("docker image rm --force %s", IMAGE)
    pis[PI].check_output(f"docker pull --quiet {IMAGE} && docker image rm {IMAGE}")
    back = {"docker_registry_ca_files": {address: None}, "docker_daemon_options": {"registry-mirrors": None}}
    gone = lab.play("--limit", PI, "-e", json.dumps(back))
    assert gone.code == 0, gone.output
    assert run(lab, playbook, upstream).code == 0
    assert not pis[MIRROR].file("/etc/docker/registry/mirror.key").exists


def test_removal(lab: Lab, playbook: Path, upstream: str, pis: dict[str, Host]) -> None:
    play = run(lab, playbook, upstream, registry_mirror_state="absent")
    assert play.code == 0, play.output
    assert [path for path in (CONFIG, STORED) if pis[MIRROR].file(path).exists] == []
    assert not pis[MIRROR].package("docker-registry").is_installed
    again = run(lab, playbook, upstream, registry_mirror_state="absent")
    assert again.recap[MIRROR]["changed"] == 0
    assert run(lab, playbook, upstream, "--check").code == 0, "it can be installed again"
