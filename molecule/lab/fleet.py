# SPDX-License-Identifier: GPL-3.0-or-later
"""Access to a running lab for the demo and the tests: its Pis, its playbook runs, its fake GitLab."""

from __future__ import annotations

import configparser
import json
import os
import re
import ssl
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .host import ROOT, STATE, LabError

JOB_ENDS = ("success", "failed", "canceled")


def eventually(condition: Callable[[], bool], timeout: float = 60) -> None:
    """Return once the condition holds. Raises LabError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"not within {timeout} s")
        time.sleep(0.5)


class GitLab:
    """A client for the control API of the lab's fake GitLab (`/_fake`): runners, jobs, journal."""

    def __init__(self, url: str, ca: Path) -> None:
        self.url = url
        self._context = ssl.create_default_context(cafile=str(ca))

    def call(self, method: str, path: str, **body: Any) -> Any:
        """Send a request below /_fake and return the JSON of the reply, None when it is empty."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(
            f"{self.url}/_fake{path}", data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=30, context=self._context) as reply:
            text = reply.read()
        return json.loads(text) if text else None

    def runners(self) -> list[dict[str, Any]]:
        """Return all runners with their managers, without tokens."""
        runners: list[dict[str, Any]] = self.call("GET", "/runners")
        return runners

    def writes(self) -> list[str]:
        """Return the write requests since the journal was cleared, such as `POST /api/v4/user/runners`."""
        return [f"{entry['method']} {entry['path']}" for entry in self.call("GET", "/journal?writes=1")]

    def requests_of_ansible(self) -> Counter[str]:
        """Count the requests since the journal was cleared, except GitLab Runner's: `GET /api/v4/runners/:id` -> 2."""
        entries = [entry for entry in self.call("GET", "/journal") if entry["family"] != "job"]
        return Counter(f"{entry['method']} {re.sub(r'/[0-9]+', '/:id', entry['path'])}" for entry in entries)

    def run_job(self, timeout: int = 60, **job: Any) -> dict[str, Any]:
        """Queue a job, wait until it is finished, and return it with its trace. Raises LabError after `timeout` s."""
        return self.wait_for_job(self.call("POST", "/jobs", **job)["id"], JOB_ENDS, timeout)

    def wait_for_job(self, job_id: int, statuses: Collection[str], timeout: int = 60) -> dict[str, Any]:
        """Return the job, with its trace, once it has one of the statuses. Raises LabError after `timeout` s."""
        job: dict[str, Any] = {}

        def has_status() -> bool:
            job.update(self.call("GET", f"/jobs/{job_id}"))
            return job["status"] in statuses

        try:
            eventually(has_status, timeout)
        except LabError as error:
            tags, status, trace = job.get("tag_list"), job["status"], job["trace"]
            raise LabError(f"job {job_id} {tags} is {status} after {timeout} s:\n{trace}") from error
        return job


@dataclass(frozen=True)
class Play:
    """The result of a run of ansible-playbook."""

    code: int
    output: str
    executions: list[dict[str, str]] = field(default_factory=list)
    """One entry per module execution, as the callback plugin module_executions writes them."""

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """The counts of PLAY RECAP by host: ok, changed, unreachable, failed, skipped, rescued, ignored."""
        lines = re.findall(r"^(\S+)\s+: (ok=.*)$", self.output, re.MULTILINE)
        return {host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", rest)} for host, rest in lines}


class Lab:
    """A lab that is up, with the inventory of a fleet: molecule/fleet, `inventories`, and the lab's own.

    Raises LabError when there is no lab of that name.
    """

    def __init__(self, name: str, inventories: list[Path]) -> None:
        self.folder = STATE / name
        if not (self.folder / "inventory").is_dir():
            raise LabError(f"lab {name} is not up")
        self.inventories = [ROOT / "molecule" / "fleet", *inventories, self.folder / "inventory"]
        variables = json.loads((self.folder / "inventory" / "group_vars" / "pis" / "lab.yml").read_text())
        self.variables: dict[str, Any] = variables
        self.gitlab = GitLab(variables["gitlab_runner_url"], self.folder / "tls" / "ca.crt")

    @property
    def addresses(self) -> dict[str, str]:
        """The IP addresses of the Pis by inventory name."""
        return {name: settings["ansible_host"] for name, settings in self._hosts.items()}

    @property
    def _hosts(self) -> dict[str, dict[str, str]]:
        """The variables in pis.ini by inventory name."""
        inventory = configparser.ConfigParser(allow_no_value=True, delimiters=(" ",))
        inventory.read(self.folder / "inventory" / "pis.ini")
        return {name: dict(re.findall(r"(\w+)=(\S+)", rest or "")) for name, rest in inventory["pis"].items()}

    def ssh(self, pi: str, command: str, stdin: IO[bytes] | None = None) -> str:
        """Run a command on a Pi as root and return its standard output, stripped. Raises LabError when it fails."""
        host = self._hosts[pi]
        done = subprocess.run(
            [
                "ssh", "-i", str(self.folder / "id_ed25519"), "-o", "BatchMode=yes", "-o", "ControlMaster=auto",
                "-o", f"ControlPath={self.folder}/ssh-%C", "-o", "ControlPersist=60",
                "-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}",
                "-p", host.get("ansible_port", "22"), f"root@{host['ansible_host']}", command,
            ],
            stdin=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise LabError(f"{pi}: `{command}` failed with {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def play(
        self,
        *arguments: str,
        playbook: str = "pifleet.ci.site",
        cwd: Path = ROOT,
        show: bool = False,
        **environment: str,
    ) -> Play:
        """Run ansible-playbook on the fleet; `show` prints its output as it is written."""
        record = self.folder / "executions.jsonl"
        return run_playbook(playbook, self.inventories, record, *arguments, cwd=cwd, show=show, **environment)


def run_playbook(
    playbook: str,
    inventories: Iterable[Path],
    record: Path,
    *arguments: str,
    cwd: Path = ROOT,
    show: bool = False,
    **environment: str,
) -> Play:
    """Run ansible-playbook; `show` prints its output as it is written. record: a file for the module executions."""
    record.unlink(missing_ok=True)
    given = [argument for path in inventories for argument in ("-i", str(path))]
    process = subprocess.Popen(
        ["ansible-playbook", playbook, *given, *arguments],
        cwd=cwd, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={
            **_without_ansible(os.environ),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests" / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "module_executions",
            "PIFLEET_MODULE_EXECUTIONS": str(record),
            **environment,
        },
    )  # fmt: skip
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if show:
            print(line, end="", flush=True)
    code = process.wait()
    executions = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    return Play(code, "".join(lines), executions)


def _without_ansible(environment: Mapping[str, str]) -> dict[str, str]:
    # Molecule sets ANSIBLE_FORCE_COLOR, among others.
    return {name: value for name, value in environment.items() if not name.startswith("ANSIBLE_")}
