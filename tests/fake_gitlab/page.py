# SPDX-License-Identifier: GPL-3.0-or-later
"""The web page: runners, their managers, jobs and traces as HTML that reloads itself, without scripts."""

from __future__ import annotations

import re
from datetime import datetime
from html import escape
from pathlib import Path

from fake_gitlab.jobs import Job
from fake_gitlab.runners import Manager, Runner
from fake_gitlab.state import FakeGitLab
from fake_gitlab.status import manager_status, page_status

REFRESH = 3
"""Seconds."""
_JOBS_SHOWN = 20
_TAIL_LINES = 12
# Section markers and ANSI escape sequences of a trace.
_CONTROL_SEQUENCES = re.compile(r"section_(?:start|end):\d+:[^\r\n]*\r|\x1b\[[0-9;?]*[A-Za-z]")
# GitLab Runner's prefix of every line: timestamp, stream, and `+` where the line continues the one before.
_TIMESTAMP = re.compile(r"(?P<newline>^|\n)\d{4}-\d\d-\d\dT[\d:.]+Z [0-9a-f]{2}[OE](?P<continued>[+ ])")
# What a terminal would overwrite after a carriage return that ends no line.
_OVERWRITTEN = re.compile(r"^.*\r(?!\n)", re.MULTILINE)

_STYLE = Path(__file__).with_name("page.css").read_text()


def overview(gitlab: FakeGitLab) -> str:
    runners, jobs = list(gitlab.runners.values()), list(gitlab.jobs.values())[::-1]
    now = gitlab.clock.now()
    hidden = len(jobs) - _JOBS_SHOWN
    body = [
        "<h1>Fake GitLab</h1>",
        f'<p class="about">{_count(len(runners), "runner")}, {_count(len(jobs), "job")}, '
        f"{_count(len(gitlab.journal), 'request')} since the start. Every token on this server is made up.</p>",
        "<h2>Runners</h2>",
        _runner_table(gitlab, runners, now) if runners else '<p class="soft">No runner is registered yet.</p>',
        "<h2>Jobs</h2>",
        _job_list(gitlab, jobs[:_JOBS_SHOWN], now) if jobs else '<p class="soft">No job was queued yet.</p>',
        f'<p class="soft">and {hidden} older ones.</p>' if hidden > 0 else "",
    ]
    return _document("Fake GitLab", "\n".join(body))


def job_page(gitlab: FakeGitLab, job: Job) -> str:
    body = [
        '<p class="about"><a href="/">Fake GitLab</a></p>',
        f'<h1>{escape(job.name)} <span class="soft">#{job.id}</span></h1>',
        f'<p class="about">{_job_line(gitlab, job, gitlab.clock.now())}</p>',
        f"<pre>{escape(as_plain_text(job.log)) or 'No log yet.'}</pre>",
    ]
    return _document(f"{job.name} #{job.id}", "\n".join(body), refresh=job.finished_at is None)


def as_plain_text(log: str) -> str:
    """A trace as a terminal would show it, without timestamps and colours."""
    plain = _TIMESTAMP.sub(lambda stamp: "" if stamp["continued"] == "+" else stamp["newline"], log)
    return _OVERWRITTEN.sub("", _CONTROL_SEQUENCES.sub("", plain)).strip("\n")


def _runner_table(gitlab: FakeGitLab, runners: list[Runner], now: datetime) -> str:
    head = "<tr><th>Runner</th><th>Status</th><th>Last contact</th><th>Owner</th><th>Tags</th></tr>"
    return f"<table>{head}{''.join(_runner_rows(gitlab, runner, now) for runner in runners)}</table>"


def _runner_rows(gitlab: FakeGitLab, runner: Runner, now: datetime) -> str:
    owner = gitlab.owner(runner)
    owner_path = owner.path if owner else "none (orphaned)" if gitlab.is_orphaned(runner) else "the instance"
    untagged = '<span class="soft">untagged jobs</span>' if runner.run_untagged else ""
    tags = " ".join(f'<span class="tag">{escape(tag)}</span>' for tag in runner.tag_list)
    note = f'<div class="note">{escape(runner.maintenance_note)}</div>' if runner.maintenance_note else ""
    name = escape(runner.description or "no description")
    row = (
        f'<tr class="runner"><td>{name} <span class="soft">#{runner.id}</span>{note}</td>'
        f"<td>{_status(page_status(runner, now), paused=runner.paused)}</td><td>{_ago(runner.contacted_at, now)}</td>"
        f"<td>{escape(owner_path)}</td><td>{tags} {untagged}</td></tr>"
    )
    return row + "".join(_manager_row(manager, now) for manager in runner.managers.values())


def _manager_row(manager: Manager, now: datetime) -> str:
    version = f"{manager.version or 'unknown version'}, {manager.architecture or 'unknown architecture'}"
    return (
        f'<tr class="manager"><td><code>{escape(manager.system_id)}</code></td>'
        f"<td>{_status(manager_status(manager, now))}</td><td>{_ago(manager.contacted_at, now)}</td>"
        f"<td>{escape(manager.ip_address or '')}</td><td>{escape(version)}</td></tr>"
    )


def _job_list(gitlab: FakeGitLab, jobs: list[Job], now: datetime) -> str:
    return "\n".join(
        f'<p class="job"><a href="/jobs/{job.id}">{escape(job.name)}</a> <span class="soft">#{job.id}</span> '
        f"{_job_line(gitlab, job, now)}</p>{_tail(job)}"
        for job in jobs
    )


def _job_line(gitlab: FakeGitLab, job: Job, now: datetime) -> str:
    parts = [_status(job.status) + (f" ({escape(job.failure_reason)})" if job.failure_reason else "")]
    if job.runner_id is not None:
        runner = gitlab.runners.get(job.runner_id)
        parts.append(escape((runner and runner.description) or f"runner {job.runner_id}"))
    if job.system_id:
        parts.append(f"<code>{escape(job.system_id)}</code>")
    if job.started_at:
        seconds = ((job.finished_at or now) - job.started_at).total_seconds()
        parts.append(f"{seconds:.0f} s")
    else:
        parts.append(f"waiting for {_ago(job.created_at, now).removesuffix(' ago')}")
    return '<span class="soft"> · </span>'.join(parts)


def _tail(job: Job) -> str:
    lines = as_plain_text(job.log).splitlines()[-_TAIL_LINES:]
    return f"<pre>{escape(chr(10).join(lines))}</pre>" if lines else ""


def _status(status: str, *, paused: bool = False) -> str:
    label = f'<span class="{status.partition("_")[0]}">{status.replace("_", " ")}</span>'
    return f'{label}, <span class="paused">paused</span>' if paused else label


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return '<span class="soft">never</span>'
    seconds = max((now - moment).total_seconds(), 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _document(title: str, body: str, *, refresh: bool = True) -> str:
    reload = f'<meta http-equiv="refresh" content="{REFRESH}">' if refresh else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{reload}'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
