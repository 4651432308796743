# SPDX-License-Identifier: GPL-3.0-or-later
"""Registration: look, decide, do. The decision is _registration/plan.py's; here is only the doing.

A run that loses a race (the file is not the one it read any more) looks again and decides anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import (
    ConfigTomlError,
    remove_entries,
    says_nothing,
    set_entry,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import (
    GitLabError,
    OutcomeUnknown,
    Postponed,
    Vanished,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.intents import (
    LEASE,
    RENEW,
    Intent,
    intents,
    with_intent,
    without_intents,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    NEVER,
    Credential,
    Runner,
    Wanted,
    first_attributes,
    instant,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.observe import look
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import (
    Action,
    Announce,
    Create,
    Delete,
    DeleteByToken,
    Refusal,
    RemoveEntries,
    ResetToken,
    Seen,
    Settle,
    Update,
    WriteEntry,
    plan,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.ports import FilePort, GitLabPort
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile, HostFileConflict, HostFileError

TRIES = 5
CONTENDED = "File and runner were changed by others during each of several attempts; is another play running?"


class Contended(Exception):
    """Another run changes the same file all the time."""


@dataclass
class Outcome:
    """What a run has done, or in check mode what it would do.

    actions: their names, in order, [] if nothing was to be done. first: the look and the plan the run began with.
    asked: GitLab may hold a runner that this run asked for and that the file does not have. unsure: it may still make
    one, for a reply did not come. file_existed: whether there was a file before this run.
    runner and working: the runner and its credential in the end, None where GitLab does not show them or nothing is
    left.
    """

    first: tuple[Seen, list[Action]]
    actions: list[str] = field(default_factory=list)
    file_existed: bool = True
    asked: bool = False
    unsure: bool = False
    runner: Runner | None = None
    working: Credential | None = None
    verified_at: datetime | None = None


def register(wanted: Wanted, file: FilePort, gitlab: GitLabPort, *, run: str, check: bool = False) -> Outcome:
    """Bring the file and GitLab to what is wanted; with `check` only say what that takes.

    run: a random name of this run, hexadecimal. Raises Refusal, GitLabError, HostFileError, ConfigTomlError and
    Contended, each with one sentence, and always so that another run ends in one runner.
    """
    outcome: Outcome | None = None
    trouble: Exception | None = None
    try:
        for _attempt in range(TRIES):
            try:
                host = file.read()
                seen = look(wanted, host, gitlab, run, asked=outcome is not None and outcome.asked)
                actions = plan(wanted, seen)
                if outcome is None:
                    outcome = Outcome(first=(seen, actions), file_existed=host.exists)
                outcome.runner, outcome.working, outcome.verified_at = seen.runner, seen.working, gitlab.clock()
                execution = _Execution(wanted, file, gitlab, run, host, outcome)
                execution.rehearse(actions)
                if check:
                    outcome.actions = [name for action in actions for name in names(action, wanted.present)]
                    return outcome
                execution.do(actions)
            except (HostFileConflict, Vanished):  # the file or the runner was changed meanwhile
                trouble = Contended(CONTENDED)
            except Postponed as error:
                if wanted.place is None:
                    raise  # no look would show whether it was done nevertheless
                trouble = error
            else:
                return outcome
        raise trouble or Contended(CONTENDED)
    except (GitLabError, HostFileError, Contended, Refusal, ConfigTomlError):
        if trouble and outcome and outcome.asked:
            _leave_intent(wanted, file, Intent(wanted.key, gitlab.clock(), run))
        raise


def _leave_intent(wanted: Wanted, file: FilePort, intent: Intent) -> None:
    """Have later runs look for what this one has asked for, after the file was replaced together with its intent."""
    with suppress(HostFileError):  # the failure that led here is the one to report
        host = file.read()
        if all(other.run != intent.run for other in intents(host.content, wanted.key)):
            file.replace(host, with_intent(host.content, intent))


def names(action: Action, present: bool = True) -> Iterable[str]:
    """What a user reads in `actions` for one action of a plan."""
    if isinstance(action, Delete):
        return ["removed_duplicate" if present else "deleted"]
    if isinstance(action, DeleteByToken):
        return ["deleted" if action.whole else "manager_removed"]
    if isinstance(action, ResetToken):
        return ["adopted", "token_reset"] if action.adopted else ["token_reset"]
    if isinstance(action, Update):
        return ["adopted", "updated"] if action.adopted else ["updated"]
    if isinstance(action, Settle):
        return ["settled"] if action.overdue else []
    return {Create: ["created"], WriteEntry: ["entry_written"], RemoveEntries: ["entry_removed"]}.get(type(action), [])


class _Execution:
    """One attempt at a plan. Knows what the file holds after each of its own writes."""

    def __init__(
        self, wanted: Wanted, file: FilePort, gitlab: GitLabPort, run: str, host: HostFile, outcome: Outcome
    ) -> None:
        self.wanted = wanted
        self.file = file
        self.gitlab = gitlab
        self.run = run
        self.host = host
        self.outcome = outcome
        self.handlers: Mapping[type, Callable[[Any], None]] = {
            Announce: self.announce,
            Delete: self.delete,
            DeleteByToken: self.delete_by_token,
            Create: self.create,
            ResetToken: self.reset_token,
            Update: self.update,
            WriteEntry: self.write_entry,
            RemoveEntries: self.remove_entries,
            Settle: self.settle,
        }

    def do(self, actions: list[Action]) -> None:
        try:
            for action in actions:
                self.handlers[type(action)](action)
                self.outcome.actions += names(action, self.wanted.present)
        except Postponed:
            raise  # the next attempt goes on with our intent
        except GitLabError:
            if not self.outcome.asked:
                self.withdraw()
            raise

    def rehearse(self, actions: list[Action]) -> None:
        """Fail before GitLab is asked for anything if the file could not take the entry."""
        for action in actions:
            if isinstance(action, WriteEntry):
                self.with_entry(action, action.credential or Credential(1, "rehearsal"))

    def write(self, content: str) -> None:
        if content != self.host.content or not self.host.system_id_seeded:
            self.host = self.file.replace(self.host, content)

    def announce(self, action: Announce | None = None) -> None:
        """Have an intent in the file that is younger than RENEW.

        After a stall another run may have cleared the last one: then the file is another, and the write a conflict.
        """
        now = self.gitlab.clock()
        mine = [intent for intent in intents(self.host.content, self.wanted.key) if intent.run == self.run]
        if not mine or mine[0].older_than(RENEW, now):
            self.write(with_intent(self.host.content, Intent(self.wanted.key, now, self.run)))

    def create(self, action: Create) -> None:
        wanted = self.wanted
        attributes = first_attributes(wanted)
        self.announce()
        asked_before = self.outcome.asked
        self.outcome.asked = True  # from here on our intent stays in the file until a look has settled the matter
        try:
            if wanted.place is None:
                self.obtained(self.gitlab.register(wanted.credential, attributes))
            else:
                self.obtained(self.gitlab.create(wanted.place, attributes))
        except OutcomeUnknown:
            self.outcome.unsure = True
            place = wanted.place
            found = self.gitlab.runners_with_key(place, wanted.key, wanted.description) if place else ()
            if not found:
                raise
            self.obtained(self.gitlab.reset_token(found[-1].id))  # it was created, and its token got lost
        except Postponed:
            raise
        except GitLabError:
            self.outcome.asked = asked_before
            raise

    def reset_token(self, action: ResetToken) -> None:
        self.announce()
        self.outcome.runner = action.runner
        self.obtained(self.gitlab.reset_token(action.runner.id))

    def obtained(self, credential: Credential) -> None:
        self.outcome.working, self.outcome.verified_at = credential, self.gitlab.clock()

    def update(self, action: Update) -> None:
        now = self.gitlab.update(action.runner.id, action.changes)
        was = action.runner
        self.outcome.runner = replace(
            now, status=was.status, version=was.version, contacted_at=was.contacted_at, managers=was.managers
        )

    def delete(self, action: Delete) -> None:
        self.gitlab.delete(action.runner.id)

    def delete_by_token(self, action: DeleteByToken) -> None:
        if action.whole:
            self.gitlab.delete_by_token(action.entry.token)
        else:
            self.gitlab.delete_manager(action.entry.token, self.host.system_id)

    def write_entry(self, action: WriteEntry) -> None:
        credential = action.credential or self.outcome.working
        if credential is None:
            raise AssertionError("a plan writes an entry only after it has a token")
        self.write(self.with_entry(action, credential))
        self.outcome.working = credential

    def with_entry(self, action: WriteEntry, credential: Credential) -> str:
        entry = action.entry
        values: dict[str, Any] = {"name": self.wanted.name}
        if entry is None or entry.url != self.wanted.url:  # a slash at the end of the file's url is nobody's concern
            values["url"] = self.wanted.url
        values |= {"id": credential.id, "token": credential.token}
        if entry is None or entry.token != credential.token:
            expires = instant(credential.expires or "") or instant(NEVER)
            values["token_obtained_at"] = self.gitlab.clock().replace(microsecond=0)
            values["token_expires_at"] = expires.replace(microsecond=0) if expires else None
        content = set_entry(self.settled(self.host.content), entry.index if entry else None, values)
        return remove_entries(content, [double.index for double in action.doubles]) if action.doubles else content

    def remove_entries(self, action: RemoveEntries) -> None:
        self.write(remove_entries(self.host.content, [entry.index for entry in action.entries]))
        self.outcome.runner = self.outcome.working = None

    def settle(self, action: Settle) -> None:
        self.write(self.settled(self.host.content))

    def settled(self, content: str) -> str:
        """Without our own intent (what we asked for is in the file) and those that no run can still be about.

        Where a reply was lost, what a look found may have been another run's: then ours stays for its whole lease.
        """
        now = self.gitlab.clock()

        def done(intent: Intent) -> bool:
            ours = intent.run == self.run and not self.outcome.unsure
            return intent.key == self.wanted.key and (ours or intent.older_than(LEASE, now))

        return without_intents(content, done)

    def withdraw(self) -> None:
        """After a clear failure: nothing of ours is under way, so no later run has to look for it."""
        mine = (self.wanted.key, self.run)
        content = without_intents(self.host.content, lambda intent: (intent.key, intent.run) == mine)
        if content == self.host.content:
            return
        with suppress(HostFileError):  # the failure that led here is the one to report
            if says_nothing(content) and not self.outcome.file_existed:
                self.host = self.file.remove(self.host)
            else:
                self.write(content)
