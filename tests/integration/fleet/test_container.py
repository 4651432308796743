# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario `default`: GitLab Runner as one container per Pi."""

from __future__ import annotations

import json

from integration.scenarios import only_in
from lab.fleet import GitLab
from testinfra.host import Host

pytestmark = only_in("default")


def test_the_container_restarts_and_lets_jobs_finish(pis: dict[str, Host]) -> None:
    for name, pi in pis.items():
        container = json.loads(pi.check_output("docker inspect gitlab-runner"))[0]
        assert container["State"]["Running"], name
        assert container["HostConfig"]["RestartPolicy"]["Name"] == "always", name
        assert container["Config"]["StopSignal"] == "SIGQUIT", name
        assert container["Config"]["StopTimeout"] >= 3600, name
        binds = {mount["Source"]: mount["Destination"] for mount in container["Mounts"] if mount["Type"] == "bind"}
        assert binds == {path: path for path in ("/etc/gitlab-runner", "/var/run/docker.sock")}, name


def test_a_running_job_survives_a_stop_of_the_container(gitlab: GitLab, pis: dict[str, Host]) -> None:
    name, pi = next(iter(pis.items()))
    number = gitlab.call("POST", "/jobs", script=["echo started", "sleep 8", "echo ended"], tag_list=[name])["id"]
    gitlab.wait_for_job(number, ["running"])
    pi.check_output("docker stop gitlab-runner")
    job = gitlab.call("GET", f"/jobs/{number}")
    pi.check_output("docker start gitlab-runner")
    assert job["status"] == "success", job["trace"]
    assert "ended" in job["trace"]
