# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet that site.yml made: engines answer, runner processes ask for jobs with the token in the file, jobs run."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from lab.fleet import GitLab, Lab, eventually
from testinfra.host import Host

KINDS = ("docker", "docker-socket")
BUILD = [
    "mkdir context && echo hello > context/greeting",
    "printf 'FROM scratch\\nCOPY greeting /greeting\\n' > context/Dockerfile",
    "docker build -q -t greeting:$CI_JOB_ID context",
    "docker image inspect -f 'size {{.Size}}' greeting:$CI_JOB_ID",
]


def config(pi: Host) -> dict[str, Any]:
    """The parsed config.toml of a Pi."""
    return tomllib.loads(pi.file("/etc/gitlab-runner/config.toml").content_string)


def entries(pi: Host) -> dict[str, dict[str, Any]]:
    """The [[runners]] of a Pi by name, each name once."""
    runners = config(pi)["runners"]
    assert len({runner["name"] for runner in runners}) == len(runners)
    return {runner["name"]: runner for runner in runners}


def test_the_engine_answers_with_the_options_of_daemon_json(pis: dict[str, Host]) -> None:
    for name, pi in pis.items():
        info = json.loads(pi.check_output("docker info --format '{{json .}}'"))
        assert info["LoggingDriver"] == "local", name
        assert info["RegistryConfig"]["IndexConfigs"]["registry.lab:5000"]["Secure"] is False, name
        assert pi.service("docker").is_enabled, name


def test_no_log_of_a_container_wears_the_card_out(pis: dict[str, Host]) -> None:
    for name, pi in pis.items():
        containers = json.loads(pi.check_output("docker inspect $(docker ps -q)"))
        logs = [container["HostConfig"]["LogConfig"] for container in containers]
        assert logs, name
        assert [log for log in logs if log != {"Type": "local", "Config": {"max-file": "3", "max-size": "10m"}}] == []


def test_there_is_one_runner_per_entry_and_its_token_is_the_one_in_the_file(
    gitlab: GitLab, pis: dict[str, Host]
) -> None:
    seen = set()
    for name, pi in pis.items():
        assert set(entries(pi)) == set(KINDS), name
        for entry in entries(pi).values():
            assert gitlab.call("POST", "/whose_token", token=entry["token"]) == {"runner_id": entry["id"]}
            seen.add(entry["id"])
    assert seen == {runner["id"] for runner in gitlab.runners()}
    assert len(seen) == len(pis) * len(KINDS)


def test_each_runner_process_asks_for_jobs_with_that_token(gitlab: GitLab, pis: dict[str, Host]) -> None:
    expected = set()
    for pi in pis.values():
        system_id = pi.file("/etc/gitlab-runner/.runner_system_id").content_string.strip()
        expected |= {(entry["id"], system_id) for entry in entries(pi).values()}
    gitlab.call("DELETE", "/journal")  # processes of another deployment may have asked before
    eventually(lambda: expected <= asking(gitlab))


def asking(gitlab: GitLab) -> set[tuple[int, str]]:
    """Which runners were asked for jobs by which machines since the journal was cleared."""
    return {
        (entry["runner_id"], entry["system_id"])
        for entry in gitlab.call("GET", "/journal")
        if entry["path"] == "/api/v4/jobs/request" and entry["status"] in (201, 204)
    }


def test_files_with_tokens_are_for_root_only(pis: dict[str, Host]) -> None:
    for name, pi in pis.items():
        assert pi.file("/etc/gitlab-runner/config.toml").mode == 0o600, name
        assert pi.file("/etc/gitlab-runner").mode == 0o700, name
        command = "grep -rlE 'glrt-|glpat-' /etc /home /root /tmp /run /var/log /var/tmp | xargs stat -c '%a %U %n'"
        found = pi.run(command).stdout.splitlines()
        assert found, f"{name}: not even config.toml is found"
        for line in found:
            assert line.startswith("600 root /etc/gitlab-runner/config.toml"), f"{name}: {line}"


def test_the_api_token_is_on_no_pi(lab: Lab, pis: dict[str, Host]) -> None:
    token = lab.variables["gitlab_runner_api_token"]
    for name, pi in pis.items():
        places = "/etc /home /root /tmp /var/tmp /var/log /run"
        assert pi.run(f"grep -rlF -- %s {places}", token).stdout == "", name
        its = entries(pi)["docker"]["token"]
        assert "config.toml" in pi.run(f"grep -rlF -- %s {places}", its).stdout, f"{name}: the search finds nothing"


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_of_each_kind_runs_on_each_pi(gitlab: GitLab, pis: dict[str, Host], kind: str) -> None:
    for name in pis:
        script = BUILD if kind == "docker-socket" else ["echo from $CI_RUNNER_DESCRIPTION", "exec echo pid $$"]
        tags = [name, "docker-build" if kind == "docker-socket" else "docker"]
        job = gitlab.run_job(script=script, tag_list=tags, name=kind)
        assert job["status"] == "success", job["trace"]
        assert ("size " if kind == "docker-socket" else f"from {name}") in job["trace"]


def test_a_failing_job_fails(gitlab: GitLab, pis: dict[str, Host]) -> None:
    job = gitlab.run_job(script=["echo before", "exit 3"], tag_list=[next(iter(pis))])
    assert (job["status"], job["exit_code"]) == ("failed", 3), job["trace"]
    assert "before" in job["trace"]
