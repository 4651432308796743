# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache in an S3 bucket, with a real server: concurrent jobs and Pis share it, and nobody reads its keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from drawing import takes
from integration.s3_cache import PIS, Fleet, runner, s3_cache
from integration.scenarios import only_in
from lab.fleet import GitLab, Lab
from lab.s3_server import ACCESS_KEY, SECRET_KEY
from testinfra.host import Host

pytestmark = [only_in("default"), takes(150, "S3 cache"), pytest.mark.timeout(900)]

CONFIG = "/etc/gitlab-runner/config.toml"
OTHER_KEY = "another-secret-key"


@pytest.fixture(scope="module")
def fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with s3_cache(lab, tmp_path_factory.mktemp("s3")) as settings:
        fleet = Fleet(lab, settings)
        yield fleet
        fleet.back()


def test_the_keys_are_in_config_toml_alone(fleet: Fleet, pis: dict[str, Host]) -> None:
    play = fleet.play("-vvv", "--diff")
    assert play.code == 0, play.output
    assert "SecretKey" in play.output, "the difference is shown"
    assert [key for key in (ACCESS_KEY, SECRET_KEY) if key in play.output] == []
    for pi in (pis[name] for name in PIS):
        assert pi.check_output("stat -c %%a %s", CONFIG) == "600"
        assert SECRET_KEY in pi.file(CONFIG).content_string
        found = pi.check_output(
            "grep -rlF -e %s /etc /home /root /tmp /var/log /var/lib/gitlab-runner 2>/dev/null || :", SECRET_KEY
        )
        assert {path for path in found.split() if not path.startswith(CONFIG)} == set()


def test_an_unchanged_run(fleet: Fleet) -> None:
    again = fleet.play("--diff")
    assert sum(host["changed"] for host in again.recap.values()) == 0, again.output
    assert len([entry for entry in again.executions if entry["transport"] != "local"]) == 2 * len(PIS)


def test_concurrent_jobs_and_pis_see_each_others_cache(fleet: Fleet) -> None:
    """Two jobs on each Pi at once write a cache each; afterwards two on each read what the other Pi has written."""
    keys = {pi: [f"{pi}-{number}" for number in (0, 1)] for pi in PIS}
    env = 'test -z "$(env | grep -F -e AccessKey -e SecretKey -e AWS_ -e Amz)"'
    wrote = fleet.jobs(
        *((pi, key, [env, "mkdir -p kept", f"echo {key} > kept/by", "sleep 8"]) for pi in PIS for key in keys[pi])
    )
    read = fleet.jobs(
        *((pi, key, [f"grep -x {key} kept/by", "sleep 8"]) for pi in PIS for key in keys[PIS[pi == PIS[0]]])
    )
    assert [job["status"] for job in [*wrote, *read]] == ["success"] * 8, [job["trace"] for job in [*wrote, *read]]
    assert [secret for secret in (SECRET_KEY, ACCESS_KEY) for job in wrote if secret in job["trace"]] == []


def test_a_wrong_key_is_a_warning_in_the_job_and_another_one_restarts_nothing(
    fleet: Fleet, gitlab: GitLab, pis: dict[str, Host]
) -> None:
    started = "docker inspect -f '{{.State.StartedAt}}' $(docker ps -q --filter name=gitlab-runner)"
    before = [pis[name].check_output(started) for name in PIS]
    play = fleet.play("--diff", gitlab_runner_runners=[runner(OTHER_KEY)])
    assert [host["changed"] for host in play.recap.values()] == [1, 1], play.output
    assert OTHER_KEY not in play.output
    [job] = fleet.jobs((PIS[0], "refused", ["mkdir kept", "echo x > kept/x"]))
    assert (job["status"], "403" in job["trace"]) == ("success", True), job["trace"]
    assert [pis[name].check_output(started) for name in PIS] == before
