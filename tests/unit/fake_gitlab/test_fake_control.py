# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API, the web page, TLS, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_gitlab
import pytest
import requests
from fake_gitlab import FakeGitLab, page, seed, tls
from fake_gitlab_world import World


def fake(world: World, method: str, path: str, /, **body: Any) -> requests.Response:
    return world.session.request(method, f"{world.url}/_fake{path}", json=body or None, timeout=5)


def test_jobs_over_the_control_api(world: World) -> None:
    queued = fake(world, "POST", "/jobs", script=["true"], name="hello", tag_list=["rpi"], project_id=42)
    assert queued.status_code == 201
    job_id = queued.json()["id"]
    world.gitlab.jobs[job_id].trace = b"Hi \xc3\xa4"
    shown = fake(world, "GET", f"/jobs/{job_id}").json()
    assert (shown["status"], shown["trace"], shown["name"]) == ("pending", "Hi ä", "hello")
    assert len(fake(world, "GET", "/jobs").json()) == 1
    assert [len(fake(world, "GET", f"/jobs?status={status}").json()) for status in ("pending", "running")] == [1, 0]
    assert fake(world, "POST", f"/jobs/{job_id}/cancel").json()["status"] == "canceled"
    assert fake(world, "GET", "/jobs/99").status_code == 404
    assert fake(world, "POST", "/jobs", script="true").status_code == 400
    assert fake(world, "POST", "/jobs", script=["true"], imagge="x").status_code == 400


def test_runners_over_the_control_api(world: World) -> None:
    made = fake(world, "POST", "/runners", runner_type="project_type", project_id=42, description="pi").json()
    address = f"/runners/{made['id']}"
    assert fake(world, "POST", "/whose_token", token=made["token"]).json() == {"runner_id": made["id"]}
    assert fake(world, "PATCH", address, paused=True, tag_list=["x"]).json()["paused"] is True
    assert fake(world, "PATCH", address, token="x").status_code == 400
    copy = fake(world, "POST", f"{address}/duplicate").json()
    assert (copy["description"], copy["tag_list"], copy["project_ids"]) == ("pi", ["x"], [42])
    reset = fake(world, "POST", f"{address}/reset_token").json()["token"]
    assert fake(world, "POST", "/whose_token", token=made["token"]).json() == {"runner_id": None}
    assert fake(world, "POST", "/whose_token", token=reset).json() == {"runner_id": made["id"]}
    assert fake(world, "DELETE", address).status_code == 204
    assert [runner["id"] for runner in fake(world, "GET", "/runners").json()] == [copy["id"]]
    assert fake(world, "POST", "/runners", runner_type="project_type").status_code == 400
    assert len(world.gitlab.journal) == 0


def test_journal_faults_clock_and_settings_over_the_control_api(world: World) -> None:
    assert fake(world, "POST", "/faults", method="POST", path="/user/runners", cut=True).status_code == 201
    with pytest.raises(requests.ConnectionError):
        world.create()
    assert fake(world, "POST", "/faults", reply="nonsense").status_code == 400
    fake(world, "POST", "/faults", reply={"status": 418, "body": "teapot"})
    assert world.create().status_code == 418
    fake(world, "POST", "/faults", reply="server_error", times=None)
    fake(world, "DELETE", "/faults")
    world.create()
    world.call("GET", "/runners/1", "maintainer")
    journal = fake(world, "GET", "/journal").json()
    assert [entry["status"] for entry in journal] == [None, 418, 201, 200]
    assert len(fake(world, "GET", "/journal?writes=1").json()) == 3
    fake(world, "DELETE", "/journal")
    assert fake(world, "GET", "/journal").json() == []
    before = world.gitlab.clock.now()
    fake(world, "POST", "/clock", advance=3600)
    assert (world.gitlab.clock.now() - before).total_seconds() >= 3600
    assert fake(world, "PATCH", "/settings", allow_registration_tokens=True).json()["allow_registration_tokens"] is True
    assert fake(world, "PATCH", "/settings", nonsense=1).status_code == 400
    assert fake(world, "PATCH", "/settings", version="15.0").status_code == 400
    assert fake(world, "PATCH", "/settings", version="17.11.7").json()["version"] == "17.11.7"


def test_the_state_shows_no_secret(world: World) -> None:
    token = world.create().json()["token"]
    world.gitlab.add_job(world.project, ["true"])
    world.call("POST", "/jobs/request", token=token, system_id="s_1")
    secrets = [token, world.gitlab.jobs[1].token, world.gitlab.settings.registration_token, *world.tokens.values()]
    secrets += [namespace.registration_token for namespace in world.gitlab.namespaces()]
    for path in ("/_fake/state", "/_fake/runners", "/_fake/jobs", "/_fake/journal", "/", "/jobs/1"):
        text = world.session.get(world.url + path, timeout=5).text
        assert not [secret for secret in secrets if secret in text]
    assert len(fake(world, "GET", "/state").json()["runners"]) == 1


def test_the_page_shows_runners_managers_and_jobs_escaped(world: World) -> None:
    runner = world.runner(description="<b>pi</b>", tag_list=["a&b"], maintenance_note="<i>")
    world.gitlab.heartbeat(runner, "s_<1>", "10.0.0.1", {"version": "19.4.0"})
    job = world.gitlab.add_job(world.project, ["true"], name="<job>")
    job.trace = b"\x1b[32msection_start:1:x\r\x1b[0KGreen</pre>\n10%\r100%\r\ndone"
    html = world.session.get(world.url, timeout=5).text
    for text in ("&lt;b&gt;pi&lt;/b&gt;", "a&amp;b", "s_&lt;1&gt;", "&lt;job&gt;", "19.4.0", "Green&lt;/pre&gt;"):
        assert text in html
    for text in ("<b>", "<i>", "<job>", "\x1b", "10%\r", "<script"):
        assert text not in html
    assert "&lt;job&gt;" in world.session.get(f"{world.url}/jobs/{job.id}", timeout=5).text
    assert world.session.get(f"{world.url}/jobs/99", timeout=5).status_code == 404


def test_a_trace_is_shown_as_on_a_terminal() -> None:
    assert page.as_plain_text("\n\x1b[1mBold\x1b[0m\n10%\r20%\rdone\r\nend\n") == "Bold\ndone\r\nend"
    stamp = "2026-11-20T17:03:26.781653Z 00"
    assert page.as_plain_text(f"{stamp}O one\n{stamp}E+ more\n{stamp}O two\n") == "one more\ntwo"


def test_the_example_seed_loads(tmp_path: Path) -> None:
    gitlab = FakeGitLab()
    seed.load(gitlab, json.loads(json.dumps(seed.EXAMPLE)))
    assert gitlab.projects[42].path == "fleet/pis"
    assert gitlab.access_tokens["glpat-alice"].scopes == {"create_runner", "manage_runner", "read_api"}
    with pytest.raises(ValueError, match="unknown settings: colour"):
        seed.load(gitlab, {"settings": {"colour": "blue"}})


def test_https_with_a_private_ca(tmp_path: Path) -> None:
    files = tls.make(tmp_path, ["gitlab.test", "127.0.0.1", "::1"])
    other = tls.make(tmp_path / "other")
    assert Path(files.key).stat().st_mode & 0o777 == 0o600
    with fake_gitlab.serving(FakeGitLab(), files) as server:
        assert server.url.startswith("https://")
        assert requests.get(server.url, verify=server.ca_path, timeout=5).ok
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(server.url, verify=other.ca, timeout=5)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[str]:
    """The fake GitLab as a process; yields its URL."""
    (tmp_path / "seed.json").write_text(json.dumps(seed.EXAMPLE))
    tests = Path(fake_gitlab.__file__).parent.parent
    command = [
        sys.executable,
        "-m",
        "fake_gitlab",
        "--port",
        "0",
        "--seed",
        str(tmp_path / "seed.json"),
        "--access-log",
    ]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(tests)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("ready: ").strip()
    finally:
        process.terminate()
        _, log = process.communicate(timeout=10)
    assert "GET /api/v4/user -> 200" in log
    assert "glpat-alice" not in log


def test_the_program_prints_its_url_and_logs_no_tokens(program: str) -> None:
    reply = requests.get(f"{program}/api/v4/user", params={"private_token": "glpat-alice"}, timeout=5)
    assert reply.json()["username"] == "alice"
