# SPDX-License-Identifier: GPL-3.0-or-later
"""An S3 server that the role s3_cache runs on one Pi: the caches of two Pis, whom it refuses, what outlasts it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from drawing import takes
from fake_gitlab import tls
from images import s3_server_image
from integration.s3_cache import NAME, PIS, Fleet, client_settings
from integration.scenarios import only_in
from lab.fleet import Lab, Play, eventually
from lab.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, SERVER, s3_program
from lab.services import REGISTRY_NAME, ensure_registry
from testinfra.host import Host

pytestmark = [only_in("default"), takes(400, "S3 server"), pytest.mark.timeout(1200)]

SERVER_PI, OTHER_PI = PIS
CONTAINER, CONFIG, DIRECTORY = "pifleet-s3-cache", "/etc/pifleet-s3-cache", "/var/lib/pifleet-s3-cache"
PORT = int(SERVER.split(":")[1])


class Server:
    """The role on one Pi."""

    def __init__(self, lab: Lab, folder: Path, settings: dict[str, Any]) -> None:
        self.lab, self.settings, self.ca = lab, settings, folder / "ca.crt"
        self.playbook = folder / "s3_cache.yml"
        play = {"hosts": SERVER_PI, "become": True, "gather_facts": False, "roles": ["pifleet.ci.s3_cache"]}
        self.playbook.write_text(yaml.safe_dump([{"name": "S3", **play}]))

    def play(self, *arguments: str, **settings: Any) -> Play:
        variables = json.dumps({**self.settings, **settings})
        return self.lab.play("-e", variables, *arguments, playbook=str(self.playbook))

    def changed(self, *arguments: str, **settings: Any) -> int:
        done = self.play(*arguments, **settings)
        assert done.code == 0, done.output
        return done.recap[SERVER_PI]["changed"]

    def status(self, method: str, path: str, key: str = SECRET_KEY) -> str:
        """The HTTP status of a request, as curl has it, 000 where nobody answers."""
        address = f"{NAME}:{PORT}:{self.lab.addresses[SERVER_PI]}"
        data = ["--upload-file", str(self.playbook)] if method == "PUT" else []
        done = subprocess.run(
            [
                "curl", "--silent", "--cacert", str(self.ca), "--resolve", address, "--output", "/dev/null",
                "--write-out", "%{http_code}", "--request", method, *data, "--aws-sigv4", "aws:amz:us-east-1:s3",
                "--config", "-", f"https://{SERVER}/{path}",
            ],
            input=f'user = "{ACCESS_KEY}:{key}"', capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout


@pytest.fixture(scope="module")
def server(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("s3-server")
    files = tls.make(folder, [NAME])
    images = {f"seaweedfs:{number}": s3_server_image(s3_program()) for number in (1, 2)}
    ensure_registry(lab.folder.name, images)
    return Server(
        lab,
        folder,
        {
            "s3_cache_image": f"{REGISTRY_NAME}/seaweedfs:1",
            "s3_cache_size": 1,
            "s3_cache_address": lab.addresses[SERVER_PI],
            "s3_cache_credentials": {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY},
            "s3_cache_certificate_file": files.certificate,
            "s3_cache_private_key": Path(files.key).read_text(),
        },
    )


@pytest.fixture(scope="module")
def fleet(lab: Lab, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("s3-clients")
    fleet = Fleet(lab, client_settings(lab, folder, str(server.ca), lab.addresses[SERVER_PI]))
    play = fleet.play()
    assert play.code == 0, play.output
    yield fleet
    fleet.back()


def test_the_keys_are_in_one_file(server: Server, pis: dict[str, Host]) -> None:
    assert server.changed("--check") == 1
    play = server.play("-vvv", "--diff")
    assert play.code == 0, play.output
    pi = pis[SERVER_PI]
    shown = pi.check_output(f"docker inspect {CONTAINER}; ps axww; docker logs {CONTAINER} 2>&1")
    for secret in (SECRET_KEY, server.settings["s3_cache_private_key"].splitlines()[1]):
        assert secret not in play.output + shown
        found = pi.check_output("grep -rlF -e %s /etc /root /tmp /var/lib/pifleet-s3-cache || :", secret).split()
        assert len(found) == 1
        assert pi.check_output("stat -c %%a %s", found[0]) == "600"


def test_an_unchanged_run(server: Server) -> None:
    again = server.play("--diff")
    assert (again.code, again.recap[SERVER_PI]["changed"]) == (0, 0), again.output
    assert len([entry for entry in again.executions if entry["transport"] != "local"]) == 1


def test_one_user_one_bucket_one_port(server: Server, lab: Lab, pis: dict[str, Host]) -> None:
    assert server.status("PUT", f"{BUCKET}/one") == "200"
    assert server.status("GET", f"{BUCKET}/one") == "200"
    assert server.status("GET", f"{BUCKET}/one", key="wrong") == "403"
    assert [server.status("PUT", path) for path in ("another", "another/one")] == ["403", "403"]
    pi = pis[SERVER_PI]
    assert pi.check_output(f"docker port {CONTAINER}") == f"8334/tcp -> {lab.addresses[SERVER_PI]}:{PORT}"
    listening = pi.check_output(f"docker exec {CONTAINER} netstat -ltn | grep -v 127.0.0.1")
    assert set(re.findall(r":(\d+) .*LISTEN", listening)) == {"8333", "8334", "18333"}
    job = f"docker run --rm {lab.variables['lab_job_image']} nc -w 3"
    address = pi.check_output(
        f"docker inspect -f '{{{{range .NetworkSettings.Networks}}}}{{{{.IPAddress}}}}{{{{end}}}}' {CONTAINER}"
    )
    assert pi.run(f"{job} {lab.addresses[SERVER_PI]} {PORT}").rc == 0
    assert pi.run(f"{job} {address} 18333").rc != 0, "a job reaches what asks for no login"


def test_two_pis_see_each_others_cache(fleet: Fleet) -> None:
    wrote = fleet.jobs(*((pi, f"of-{pi}", ["mkdir -p kept", f"echo {pi} > kept/by"]) for pi in PIS))
    read = fleet.jobs(*((pi, f"of-{other}", [f"grep -x {other} kept/by"]) for pi, other in (PIS, PIS[::-1])))
    assert [job["status"] for job in [*wrote, *read]] == ["success"] * 4, [job["trace"] for job in [*wrote, *read]]


def test_a_restart_and_another_version_keep_the_caches(server: Server, pis: dict[str, Host]) -> None:
    pis[SERVER_PI].check_output(f"docker restart --time 60 {CONTAINER}")
    eventually(lambda: server.status("GET", f"{BUCKET}/one") == "200", 90)
    assert server.changed(s3_cache_image=f"{REGISTRY_NAME}/seaweedfs:2", s3_cache_expire_days=7) > 0
    assert server.status("GET", f"{BUCKET}/one") == "200"
    rules = pis[SERVER_PI].check_output(
        f"echo fs.configure | docker exec -i {CONTAINER} weed shell -master=127.0.0.1:9333"
    )
    assert [rule["ttl"] for rule in json.loads(rules)["locations"]] == ["7d"]


def test_other_keys_replace_the_former(server: Server) -> None:
    other = {"s3_cache_credentials": {"access_key": ACCESS_KEY, "secret_key": "another secret key"}}
    assert server.changed("--diff", **other) > 0
    assert [server.status("GET", f"{BUCKET}/one", key) for key in (SECRET_KEY, "another secret key")] == ["403", "200"]


def test_a_server_that_does_not_start_is_reported_with_its_log(server: Server) -> None:
    play = server.play(s3_cache_private_key="-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n")
    assert play.code != 0
    assert "the S3 server does not work" in play.output
    assert server.changed() > 0
    assert server.status("PUT", f"{BUCKET}/kept") == "200"


def test_removal_keeps_the_caches_unless_asked(server: Server, pis: dict[str, Host]) -> None:
    pi, absent = pis[SERVER_PI], {"s3_cache_state": "absent"}
    assert server.changed(**absent) > 0
    assert (
        pi.check_output(f"docker ps -aq --filter name={CONTAINER}; docker network ls -q --filter name={CONTAINER}")
        == ""
    )
    assert [pi.file(path).exists for path in (CONFIG, f"{DIRECTORY}/data")] == [False, True]
    assert server.changed(**absent) == 0
    assert server.changed() > 0
    assert server.status("GET", f"{BUCKET}/kept") == "200"
    assert server.changed(**absent, s3_cache_remove_data=True) > 0
    assert not pi.file(DIRECTORY).exists
