# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_container_options: the container or service gets them and loses them again, and no job ends for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from drawing import takes
from integration.scenarios import SCENARIO
from lab.fleet import JOB_ENDS, GitLab, Lab, Play
from testinfra.host import Host

PI = "pi-02"
CONTAINER = "$(docker ps -q --filter name=gitlab-runner)"
PASSWORD = "secret-of-the-proxy"
PORT = {"default": "127.0.0.1:9252:9252", "swarm": "9252:9252"}[SCENARIO]
OPTIONS = {
    "env": {"HTTPS_PROXY": f"http://me:{PASSWORD}@192.0.2.1:3128", "NO_PROXY": "*"},
    "etc_hosts": {"gitlab.internal": "192.0.2.2"},
    "dns_servers": ["192.0.2.3"],
    "mounts": [{"source": "/etc/ssl", "target": "/extra", "read_only": True}],
    "published_ports": [PORT],
    "memory": "300M",
    "cpus": 0.5,
    "log_driver": "json-file",
    "log_options": {"max-size": "5m"},
}


def play(lab: Lab, **settings: Any) -> Play:
    """A service is that of all Pis, so all are in the play."""
    arguments = ["--limit", PI] if SCENARIO == "default" else []
    done = lab.play(*arguments, "-e", json.dumps(settings), "-v")
    assert done.code == 0, done.output
    assert PASSWORD not in done.output
    return done


def inspected(pi: Host) -> dict[str, Any]:
    [found] = json.loads(pi.check_output(f"docker inspect {CONTAINER}"))
    return dict(found)


@pytest.mark.timeout(900)
@takes(120)
def test_options_come_and_go(lab: Lab, gitlab: GitLab, pis: dict[str, Host]) -> None:
    before = inspected(pis[PI])
    number = gitlab.call("POST", "/jobs", script=["sleep 12", "echo ended"], tag_list=[PI, "docker"])["id"]
    gitlab.wait_for_job(number, ["running"], timeout=30)
    play(lab, gitlab_runner_container_options=OPTIONS)
    job = gitlab.wait_for_job(number, JOB_ENDS)
    assert (job["status"], "ended" in job["trace"]) == ("success", True), job["trace"]

    found = inspected(pis[PI])
    host = found["HostConfig"]
    assert OPTIONS["env"].items() <= dict(pair.split("=", 1) for pair in found["Config"]["Env"]).items()  # type: ignore[attr-defined]
    assert (host["Memory"], host["NanoCpus"], host["Dns"]) == (300 * 1024**2, 5 * 10**8, ["192.0.2.3"])
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "5m"}}
    assert pis[PI].check_output(f"docker exec {CONTAINER} cat /etc/hosts").count("192.0.2.2") == 1
    assert [(mount["Source"], mount["RW"]) for mount in found["Mounts"] if mount["Destination"] == "/extra"] == [
        ("/etc/ssl", False)
    ]
    assert pis[PI].check_output(f"docker port {CONTAINER} 9252").endswith(":9252")
    assert play(lab, gitlab_runner_container_options=OPTIONS).recap[PI]["changed"] == 0
    assert gitlab.run_job(script=["true"], tag_list=[PI, "docker"])["status"] == "success"

    play(lab)
    after = inspected(pis[PI])
    assert after["Config"]["Env"] == before["Config"]["Env"]
    for key in ("Memory", "NanoCpus", "Dns", "PortBindings", "LogConfig"):
        assert after["HostConfig"][key] == before["HostConfig"][key], key
    assert play(lab).recap[PI]["changed"] == 0
