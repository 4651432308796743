# SPDX-License-Identifier: GPL-3.0-or-later
"""An S3 server beside a lab, and Pis of the lab whose jobs have their caches there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_gitlab import tls
from lab.fleet import JOB_ENDS, Lab, Play
from lab.host import ROOT
from lab.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, SERVER, has_s3_cache, start_s3_server, stop_s3_server

CA_VOLUME = (
    "/etc/gitlab-runner/certs/{{ gitlab_runner_url | urlsplit('hostname') }}.crt:/etc/gitlab-runner/certs/ca.crt:ro"
)
PIS = ("pi-01", "pi-02")
NAME = SERVER.split(":")[0]
_FLEET = ROOT / "molecule" / "fleet" / "group_vars" / "pis" / "fleet.yml"


def runner(secret_key: str = "{{ vault_cache_secret_key }}") -> dict[str, Any]:
    """A runner with its cache on the server."""
    s3 = {
        "ServerAddress": SERVER,
        "BucketName": BUCKET,
        "BucketLocation": "us-east-1",
        "AccessKey": "{{ vault_cache_access_key }}",
        "SecretKey": secret_key,
    }
    return {
        "name": "cached",
        "gitlab": {"tag_list": ["{{ inventory_hostname }}", "cached"]},
        "config": {
            "limit": 2,
            "docker": {"image": "{{ lab_job_image }}", "volumes": [CA_VOLUME]},
            "cache": {"Type": "s3", "Shared": True, "s3": s3},
        },
    }


class Fleet:
    """Two Pis of the scenario, with one runner each. settings: variables of the playbook."""

    def __init__(self, lab: Lab, settings: dict[str, Any]) -> None:
        self.lab, self.settings = lab, settings

    def play(self, *arguments: str, **settings: Any) -> Play:
        wanted = {**self.settings, "gitlab_runner_runners": [runner()], **settings}
        return self.lab.play("--limit", ",".join(PIS), "-e", json.dumps(wanted), *arguments)

    def jobs(self, *jobs: tuple[str, str, list[str]]) -> list[dict[str, Any]]:
        """Run jobs at once (Pi, key of the cache, script), and return them."""
        call, wait = self.lab.gitlab.call, self.lab.gitlab.wait_for_job
        queued = [
            call("POST", "/jobs", script=script, tag_list=[pi, "cached"], cache=[{"key": key, "paths": ["kept"]}])
            for pi, key, script in jobs
        ]
        return [wait(job["id"], JOB_ENDS, timeout=120) for job in queued]

    def back(self) -> None:
        """Leave the Pis as the scenario says."""
        limit = ("--limit", ",".join(PIS))
        play = self.lab.play(*limit, "-e", json.dumps({"gitlab_runner_config_options": {"purge": True}}))
        assert play.code == 0, play.output
        assert sum(host["changed"] for host in self.lab.play(*limit).recap.values()) == 0


def client_settings(lab: Lab, folder: Path, ca: str, address: str) -> dict[str, Any]:
    """Variables of Pis that use the server at this IP address, with a certificate of this CA.

    Containers on the Pis have no DNS that knows the server, so they are told its address. Skips the test where GitLab
    Runner cannot use it.
    """
    program = shutil.which("gitlab-runner")
    if not has_s3_cache(program):
        pytest.skip(f"{program} was built without the S3 cache")
    both = folder / "both.crt"
    both.write_text("".join(Path(each).read_text() for each in (lab.folder / "tls" / "ca.crt", ca)))
    defaults = yaml.safe_load(_FLEET.read_text())["gitlab_runner_defaults"]
    defaults["config"]["docker"]["extra_hosts"] = [f"{NAME}:{address}"]
    return {
        "vault_cache_access_key": ACCESS_KEY,
        "vault_cache_secret_key": SECRET_KEY,
        "gitlab_runner_ca_file": str(both),
        "gitlab_runner_container_options": {"etc_hosts": {NAME: address}},
        "gitlab_runner_defaults": defaults,
    }


@contextmanager
def s3_cache(lab: Lab, folder: Path) -> Iterator[dict[str, Any]]:
    """Start a server, with a certificate of a CA of its own; yield variables of the playbook, with its keys in vault_*.

    The server is in the folder.
    """
    files = tls.make(folder, [NAME])
    assert files.ca
    try:
        yield client_settings(lab, folder, files.ca, start_s3_server(lab.folder.name, folder))
    finally:
        stop_s3_server(lab.folder.name)
