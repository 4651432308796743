# SPDX-License-Identifier: GPL-3.0-or-later
"""Intents: a run says in config.toml that it is about to ask GitLab for a runner or a token, before it asks.

GitLab's creation is not idempotent, and its reply may be lost, come late, or never be read because the play was
killed. So the run first writes a comment line at the top of the file, where it belongs to no entry that might be
removed. That line does three things:

* it proves that the file can be written, before anything is created or a working token is given up;
* it makes the write of another run that read the file earlier fail (compare-and-swap), so that run looks again;
* while it stands there, every run looks in GitLab for runners with our key, even when the file's token works. A
  runner that a killed run created, or that GitLab creates long after the client gave up, is found and removed.

A run takes its own intent out when it writes the entry. One that was left behind is taken out by the first run that
looks after the lease: no request can still be under way by then. All functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import never_blank
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import instant
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import BOM, OWN_NOTE

LEASE = timedelta(minutes=5)
"""How long after its intent a creation may still happen: RENEW, GitLab's own limit of a minute for a request, and three
minutes for what else is slow. The clock is GitLab's, the same for all."""

RENEW = timedelta(minutes=1)
"""A run does not ask GitLab for a runner on the strength of an intent older than this."""

_LINE = re.compile(
    rf"^(?P<mark>{BOM}?){re.escape(OWN_NOTE)}registering (?P<key>.+) since (?P<since>\S+) \((?P<run>[0-9a-f]+)\)\r?\n?",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Intent:
    """The run `run` meant at `since` to ask GitLab for a runner with the key `key`."""

    key: str
    since: datetime
    run: str

    def older_than(self, age: timedelta, now: datetime) -> bool:
        return now - self.since >= age


def intents(text: str, key: str) -> tuple[Intent, ...]:
    """The intents for `key` in the text of a config.toml. One whose time is not readable counts as very old."""
    return tuple(_intent(match) for match in _LINE.finditer(text) if match["key"] == key)


def with_intent(text: str, intent: Intent) -> str:
    """The text with an intent on its first line, which replaces an older one of the same run."""
    text = _without(text, lambda other: (other.key, other.run) == (intent.key, intent.run))
    since = intent.since.strftime("%Y-%m-%dT%H:%M:%SZ")
    mark = BOM if text.startswith(BOM) else ""  # it has to stay first
    return f"{mark}{OWN_NOTE}registering {intent.key} since {since} ({intent.run})\n{text.removeprefix(mark)}"


def without_intents(text: str, done: Callable[[Intent], bool]) -> str:
    """The text without the intents that are `done`, never blank for that; otherwise byte for byte the same."""
    return never_blank(text, _without(text, done))


def _without(text: str, done: Callable[[Intent], bool]) -> str:
    return _LINE.sub(lambda match: match["mark"] if done(_intent(match)) else match[0], text)


def _intent(match: re.Match[str]) -> Intent:
    since = instant(match["since"]) or datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return Intent(match["key"], since, match["run"])
