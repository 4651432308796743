# SPDX-License-Identifier: GPL-3.0-or-later
"""Intents: a run says in config.toml that it is about to ask GitLab for a runner or a token, before it asks.

GitLab's creation is not idempotent, and its reply may be lost, come late, or never be read because the play was
killed. So the run first writes a comment line at the top of the file, where it belongs to no entry that might be
removed. That line does three things:

* it proves that the file can be written, before anything is created or a working token is given up;
* it makes the write of another run that read the file earlier fail (compare-and-swap), so that run observes again;
* while it stands there, every run searches GitLab for runners with our key, even when the file's token works. A
  runner that a killed run created, or that GitLab creates long after the client gave up, is found and removed.

                 declare                 the entry is written
    (no intent) ---------> (declared) ------------------------> (no intent)
                             |  |  ^
                             |  |  | declare again, older than RENEWAL: GitLab is not asked on the strength of it
                             |  |  `-- (aged)
                             |  |
                             |  `-- GitLab clearly refused, and nothing was requested before: withdraw --> (no intent)
                             |
                             `-- the run was killed, or a reply was lost --> (left behind)
                                 (left behind) -- older than LIFETIME: settled by the next run --> (no intent)

All functions are pure: from the text of a config.toml to the text of a config.toml.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import never_blank
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import parse_time
from ansible_collections.pifleet.ci.plugins.plugin_utils._toml.scanner import BOM, OWN_NOTE

LIFETIME = timedelta(minutes=5)
"""How long after its intent a creation may still happen: RENEWAL, GitLab's own limit of a minute for a request, and
three minutes for what else is slow. The clock is GitLab's, the same for all."""

RENEWAL = timedelta(minutes=1)
"""A run does not ask GitLab for a runner on the strength of an intent older than this."""

_LINE = re.compile(
    rf"^(?P<bom>{BOM}?){re.escape(OWN_NOTE)}registering (?P<key>.+) since (?P<since>\S+) \((?P<run>[0-9a-f]+)\)\r?\n?",
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


@dataclass(frozen=True)
class RunIntent:
    """The intent of one run, which registers the runner with the key `key`."""

    key: str
    run: str

    def is_declared(self, text: str) -> bool:
        return any(intent.run == self.run for intent in intents(text, self.key))

    def declare(self, text: str, now: datetime) -> str:
        """The text with this run's intent on its first line; as it is if one younger than RENEWAL stands there."""
        ours = [intent for intent in intents(text, self.key) if intent.run == self.run]
        if ours and not ours[0].older_than(RENEWAL, now):
            return text
        return with_intent(text, Intent(self.key, now, self.run))

    def settle(self, text: str, now: datetime, *, keep_own: bool) -> str:
        """The text without this run's intent (unless keep_own) and without those that no run can still be about."""

        def is_settled(intent: Intent) -> bool:
            return intent.key == self.key and (
                (intent.run == self.run and not keep_own) or intent.older_than(LIFETIME, now)
            )

        return without_intents(text, is_settled)

    def withdraw(self, text: str) -> str:
        """The text without this run's intent."""
        return without_intents(text, lambda intent: (intent.key, intent.run) == (self.key, self.run))


def intents(text: str, key: str) -> tuple[Intent, ...]:
    """The intents for `key` in the text of a config.toml. One whose time is not readable counts as very old."""
    return tuple(_intent(match) for match in _LINE.finditer(text) if match["key"] == key)


def with_intent(text: str, intent: Intent) -> str:
    """The text with an intent on its first line, which replaces an older one of the same run."""
    text = _without(text, lambda other: (other.key, other.run) == (intent.key, intent.run))
    since = intent.since.strftime("%Y-%m-%dT%H:%M:%SZ")
    bom = BOM if text.startswith(BOM) else ""  # it has to stay first
    return f"{bom}{OWN_NOTE}registering {intent.key} since {since} ({intent.run})\n{text.removeprefix(bom)}"


def without_intents(text: str, is_settled: Callable[[Intent], bool]) -> str:
    """The text without the intents that are settled, never blank for that; otherwise byte for byte the same."""
    return never_blank(text, _without(text, is_settled))


def _without(text: str, is_settled: Callable[[Intent], bool]) -> str:
    return _LINE.sub(lambda match: match["bom"] if is_settled(_intent(match)) else match[0], text)


def _intent(match: re.Match[str]) -> Intent:
    since = parse_time(match["since"]) or datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return Intent(match["key"], since, match["run"])
