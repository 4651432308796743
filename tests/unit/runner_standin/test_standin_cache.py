# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches in an S3 bucket, with a real S3 server: who sees what of whom."""

from __future__ import annotations

import datetime
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fake_gitlab import FakeGitLab
from fake_gitlab.jobs import Job
from fake_gitlab.namespaces import Project
from fake_gitlab.runners import Runner
from fake_gitlab.server import Server
from lab.s3_server import ACCESS_KEY, BUCKET, PARTS, SECRET_KEY, has_s3_cache, s3_options, s3_program
from runner_standin import s3
from standin_pi import Pi, eventually
from standin_programs import PROGRAMS, REAL, installed

pytestmark = pytest.mark.slow


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> list[str]:
    command = installed(request.param)
    if request.param == REAL and not has_s3_cache(command[0]):
        pytest.skip(f"{command[0]} was built without the S3 cache")
    return command


@pytest.fixture(scope="module")
def server_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server of its own: tests of other processes have theirs."""
    folder = tmp_path_factory.mktemp("s3")
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in ("s3", *PARTS)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        port, *parts = [each.getsockname()[1] for each in sockets]
    command = [str(s3_program()), *s3_options(folder, "127.0.0.1", port, parts=parts)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        try:
            eventually(lambda: (folder / "log").read_bytes().count(b"S3 Endpoint:"), 60)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture
def settings(server_address: str) -> dict[str, Any]:
    return {
        "ServerAddress": server_address,
        "AccessKey": ACCESS_KEY,
        "SecretKey": SECRET_KEY,
        "BucketName": BUCKET,
        "BucketLocation": "us-east-1",
        "Insecure": True,
    }


def toml(settings: dict[str, Any], shared: bool) -> str:
    lines = [
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in settings.items()
    ]
    head = f'[runners.cache]\nType = "s3"\nPath = "pis"\nShared = {str(shared).lower()}\n'
    return "\n".join([head, "[runners.cache.s3]", *lines, ""])


def done(gitlab: FakeGitLab, project: Project, *jobs: dict[str, Any]) -> list[Job]:
    """Run these jobs at once, and return them when all have succeeded."""
    queued = [gitlab.add_job(project, **job) for job in jobs]
    for job in queued:
        eventually(lambda job=job: job.finished_at, 60)  # type: ignore[misc]
        assert job.status == "success", job.log
    return queued


def cached(key: str, *script: str, **more: Any) -> dict[str, Any]:
    return {"script": list(script), "cache": [{"key": key, "paths": ["kept/file", "kept/folder"]}], **more}


def test_signatures_are_checked(settings: dict[str, Any]) -> None:
    now = datetime.datetime.now(datetime.UTC)

    def put(content: bytes, **wrong: Any) -> None:
        s3.put(s3.presigned_url({**settings, **wrong}, "PUT", "a folder/ä+name", now), content)

    put(b"kept")
    assert s3.get(s3.presigned_url(settings, "GET", "a folder/ä+name", now)) == b"kept"
    assert s3.get(s3.presigned_url(settings, "GET", "another", now)) is None
    for wrong in ({"SecretKey": "another"}, {"AccessKey": "another"}, {"BucketName": "another"}):
        with pytest.raises(s3.S3Error):
            put(b"lost", **wrong)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://{settings['ServerAddress']}/{BUCKET}/a%20folder/%C3%A4%2Bname")


def test_jobs_at_the_same_time_use_each_others_cache(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi, settings: dict[str, Any]
) -> None:
    """Two jobs write a cache each while both run; of two later ones that run at once each reads the other's."""
    pi.write(pi.entry(runner.token, toml(settings, shared=False)))
    pi.start()

    def meet(number: int, what: str) -> list[str]:
        here, there = pi.folder / f"{what}-{number}", pi.folder / f"{what}-{1 - number}"
        return [f"touch {here}", f"while [ ! -e {there} ]; do sleep 0.1; done"]

    wrote = done(
        gitlab, project,
        *(
            cached(f"key-{number}", *meet(number, "wrote"), "mkdir -p kept/folder",
                   f"echo {number} > kept/file", "echo deep > kept/folder/deep")
            for number in (0, 1)
        ),
    )  # fmt: skip
    assert [job.log.count("Successfully extracted cache") for job in wrote] == [0, 0]
    done(
        gitlab, project,
        *(
            cached(f"key-{number}", *meet(number, "read"), f"grep -x {number} kept/file", "cat kept/folder/deep")
            for number in (1, 0)
        ),
    )  # fmt: skip


def test_two_pis_share_a_cache_if_it_is_shared(
    gitlab: FakeGitLab,
    project: Project,
    program: list[str],
    server: Server,
    tmp_path: Path,
    settings: dict[str, Any],
) -> None:
    pis = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        runner = gitlab.create_runner("project_type", owner=project, run_untagged=True)
        pis.append((Pi(program, tmp_path / name, server.url), runner))
    try:
        for shared in (True, False):
            for pi, runner in pis:
                pi.stop()
                pi.write(pi.entry(runner.token, toml(settings, shared)))
                pi.start()
            key = f"shared-{shared}"
            first, second = (runner.id for _pi, runner in pis)
            write = cached(key, "mkdir -p kept", f"echo {key} > kept/file", only_runner_id=first)
            read = cached(key, "mkdir -p kept", 'echo "saw $(cat kept/file)"', only_runner_id=second)
            done(gitlab, project, write)
            [job] = done(gitlab, project, read)
            assert (f"saw {key}" in job.log) == shared, job.log
    finally:
        for pi, _runner in pis:
            pi.stop()


def test_a_server_that_refuses_fails_no_job(
    gitlab: FakeGitLab, project: Project, runner: Runner, pi: Pi, settings: dict[str, Any]
) -> None:
    pi.write(pi.entry(runner.token, toml({**settings, "SecretKey": "another"}, shared=True)))
    pi.start()
    [job] = done(gitlab, project, cached("refused", "mkdir -p kept", "echo one > kept/file"))
    assert "403" in job.log
    assert "another" not in job.log
