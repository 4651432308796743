# SPDX-License-Identifier: GPL-3.0-or-later
"""Registration: observe, plan, apply. The decision is plan.py's; here is only the doing.

A run that loses a race (the file is not the one it read any more) observes again and plans anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import singledispatchmethod
from typing import Any, Protocol

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import (
    ConfigTomlError,
    remove_entries,
    says_nothing,
    set_entry,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import (
    GitLabError,
    OutcomeUnknown,
    RateLimited,
    RunnerNotFound,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import Credential, Runner, parse_time
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.intents import RunIntent
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    DesiredRunner,
    ObservedState,
    initial_attributes,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.observe import observe, search
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import (
    CreateRunner,
    DeclareIntent,
    DeleteByToken,
    DeleteRunner,
    RemoveEntries,
    ResetToken,
    SettleIntents,
    Step,
    UnsafeChange,
    UpdateRunner,
    WriteEntry,
    plan,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile, HostFileConflict, HostFileError

ATTEMPTS = 5

NEVER_EXPIRES = "0001-01-01T00:00:00Z"
"""What GitLab Runner writes into config.toml for a token that does not expire."""


class FilePort(Protocol):
    """The config.toml of a host, or that of a Secret (config_file.py, secret_file.py).

    What changes it raises HostFileConflict if it is not the one that was read any more.
    """

    def read(self) -> HostFile: ...

    def replace(self, seen: HostFile, content: str) -> HostFile: ...

    def remove(self, seen: HostFile) -> HostFile:
        """Take the file back, and what `replace` made with it: directories, the system ID, the Secret."""


class ConcurrentChanges(Exception):
    """Another run changes the same file all the time."""

    def __init__(self) -> None:
        super().__init__(
            "File and runner were changed by others during each of several attempts; is another play running?"
        )


@dataclass
class Outcome:
    """What a run has done, or in check mode what it would do.

    observed and planned: what the run began with. actions: the labels of the steps, in order, [] if nothing was to be
    done. runner and credential: how it ended, None where GitLab does not show them or nothing is left. verified_at: the
    server's time when the credential was last known to work.
    """

    observed: ObservedState
    planned: list[Step]
    actions: list[str] = field(default_factory=list)
    runner: Runner | None = None
    credential: Credential | None = None
    verified_at: datetime | None = None


@dataclass
class _Progress:
    """What one attempt has to know of those before it.

    requested: GitLab may hold a runner that this run asked for and that the file does not have. outcome_unknown: it may
    still make one, for a reply did not come. conflict: the file was replaced by another run since.
    """

    file_existed: bool
    requested: bool = False
    outcome_unknown: bool = False
    conflict: bool = False


def register(desired: DesiredRunner, file: FilePort, gitlab: GitLab, *, run: str, check_mode: bool = False) -> Outcome:
    """Bring the file and GitLab to what is desired; in check mode only say what that takes.

    run: a random name of this run, hexadecimal. Raises UnsafeChange, GitLabError, HostFileError, ConfigTomlError and
    ConcurrentChanges, each with one sentence, and always so that another run ends in one runner.
    """
    return _Registration(desired, file, gitlab, RunIntent(desired.key, run)).run(check_mode)


class _Registration:
    """The attempts of one run."""

    def __init__(self, desired: DesiredRunner, file: FilePort, gitlab: GitLab, intent: RunIntent) -> None:
        self.desired = desired
        self.file = file
        self.gitlab = gitlab
        self.intent = intent
        self.progress: _Progress | None = None
        self.outcome: Outcome | None = None

    def run(self, check_mode: bool) -> Outcome:
        with self._intent_left_behind():
            failure: Exception = ConcurrentChanges()
            for _attempt in range(ATTEMPTS):
                try:
                    return self._attempt(check_mode)
                except (HostFileConflict, RunnerNotFound):
                    failure = ConcurrentChanges()
                    if self.progress:
                        self.progress.conflict = True
                except RateLimited as error:
                    if self.desired.scope is None:
                        raise  # no search would show whether it was done nevertheless
                    failure = error
            raise failure

    def _attempt(self, check_mode: bool) -> Outcome:
        host = self.file.read()
        progress = self.progress = self.progress or _Progress(host.exists)
        observed = observe(self.desired, host, self.gitlab, self.intent.run, requested=progress.requested)
        steps = plan(self.desired, observed)
        outcome = self.outcome = self.outcome or Outcome(observed, steps)
        outcome.runner, outcome.credential = observed.runner, observed.verified_credential
        outcome.verified_at = self.gitlab.clock()
        application = _Application(self.desired, self.file, self.gitlab, self.intent, host, outcome, progress)
        application.rehearse(steps)
        if check_mode:
            outcome.actions = [label for step in steps for label in step.labels]
        else:
            application.apply(steps)
        return outcome

    @contextmanager
    def _intent_left_behind(self) -> Iterator[None]:
        """Have later runs search for what this one has requested, if it fails after its intent was overwritten."""
        try:
            yield
        except (GitLabError, HostFileError, ConcurrentChanges, UnsafeChange, ConfigTomlError):
            if self.progress and self.progress.requested and self.progress.conflict:
                with suppress(HostFileError):  # the failure that led here is the one to report
                    host = self.file.read()
                    if not self.intent.is_declared(host.content):
                        self.file.replace(host, self.intent.declare(host.content, self.gitlab.clock()))
            raise


class _Application:
    """One attempt at a plan. Knows what the file holds after each of its own writes."""

    def __init__(
        self,
        desired: DesiredRunner,
        file: FilePort,
        gitlab: GitLab,
        intent: RunIntent,
        host: HostFile,
        outcome: Outcome,
        progress: _Progress,
    ) -> None:
        self.desired = desired
        self.file = file
        self.gitlab = gitlab
        self.intent = intent
        self.host = host
        self.outcome = outcome
        self.progress = progress

    def rehearse(self, steps: list[Step]) -> None:
        """Fail before GitLab is asked for anything if the file could not take the entry."""
        for step in steps:
            if isinstance(step, WriteEntry):
                self._with_entry(step, step.credential or Credential(1, "rehearsal"))

    def apply(self, steps: list[Step]) -> None:
        try:
            for step in steps:
                self._apply(step)
                self.outcome.actions += step.labels
        except RateLimited:
            raise  # the next attempt goes on with our intent
        except GitLabError:
            if not self.progress.requested:
                self._withdraw_intent()
            raise

    @singledispatchmethod
    def _apply(self, step: Step) -> None:
        raise TypeError(step)

    @_apply.register
    def _declare_intent(self, _step: DeclareIntent) -> None:
        """After a stall another run may have cleared the last one: then the write is a conflict."""
        self._write(self.intent.declare(self.host.content, self.gitlab.clock()))

    @_apply.register
    def _create_runner(self, _step: CreateRunner) -> None:
        desired, progress = self.desired, self.progress
        attributes = initial_attributes(desired)
        self._declare_intent(DeclareIntent())
        requested_before = progress.requested
        progress.requested = True  # from here on our intent stays in the file until a search has settled the matter
        try:
            if desired.scope is None:
                self._obtained(self.gitlab.register(desired.credential, attributes))
            else:
                self._obtained(self.gitlab.create(desired.scope, attributes))
        except OutcomeUnknown:
            progress.outcome_unknown = True
            found = search(desired, self.gitlab)
            if not found:
                raise
            self._obtained(self.gitlab.reset_token(found[-1].id))  # it was created, and its token got lost
        except RateLimited:
            raise
        except GitLabError:
            progress.requested = requested_before
            raise

    @_apply.register
    def _reset_token(self, step: ResetToken) -> None:
        self._declare_intent(DeclareIntent())
        self.outcome.runner = step.runner
        self._obtained(self.gitlab.reset_token(step.runner.id))

    @_apply.register
    def _update_runner(self, step: UpdateRunner) -> None:
        updated, before = self.gitlab.update(step.runner.id, step.changes), step.runner
        self.outcome.runner = replace(
            updated,
            status=before.status,
            version=before.version,
            contacted_at=before.contacted_at,
            managers=before.managers,
        )

    @_apply.register
    def _delete_runner(self, step: DeleteRunner) -> None:
        self.gitlab.delete(step.runner.id)

    @_apply.register
    def _delete_by_token(self, step: DeleteByToken) -> None:
        if step.whole_runner:
            self.gitlab.delete_by_token(step.entry.token)
        else:
            self.gitlab.delete_manager(step.entry.token, self.host.system_id)

    @_apply.register
    def _write_entry(self, step: WriteEntry) -> None:
        credential = step.credential or self.outcome.credential
        if credential is None:
            raise AssertionError("a plan writes an entry only after it has a token")
        self._write(self._with_entry(step, credential))
        self.outcome.credential = credential

    @_apply.register
    def _remove_entries(self, step: RemoveEntries) -> None:
        self._write(remove_entries(self.host.content, [entry.index for entry in step.entries]))
        self.outcome.runner = self.outcome.credential = None

    @_apply.register
    def _settle_intents(self, _step: SettleIntents) -> None:
        self._write(self._settled(self.host.content))

    def _obtained(self, credential: Credential) -> None:
        self.outcome.credential, self.outcome.verified_at = credential, self.gitlab.clock()

    def _with_entry(self, step: WriteEntry, credential: Credential) -> str:
        entry = step.entry
        values: dict[str, Any] = {"name": self.desired.name}
        if entry is None or entry.url != self.desired.url:  # a slash at the end of the file's url is nobody's concern
            values["url"] = self.desired.url
        values |= {"id": credential.id, "token": credential.token}
        if entry is None or entry.token != credential.token:
            expires = parse_time(credential.expires or "") or parse_time(NEVER_EXPIRES)
            values["token_obtained_at"] = self.gitlab.clock().replace(microsecond=0)
            values["token_expires_at"] = expires.replace(microsecond=0) if expires else None
        content = set_entry(self._settled(self.host.content), entry.index if entry else None, values)
        duplicates = [duplicate.index for duplicate in step.duplicates]
        return remove_entries(content, duplicates) if duplicates else content

    def _settled(self, content: str) -> str:
        """Where a reply was lost, what a search found may be another run's: then our intent stays."""
        return self.intent.settle(content, self.gitlab.clock(), keep_own=self.progress.outcome_unknown)

    def _withdraw_intent(self) -> None:
        """After a clear failure: nothing of ours is under way, so no later run has to search for it."""
        content = self.intent.withdraw(self.host.content)
        if content == self.host.content:
            return
        with suppress(HostFileError):  # the failure that led here is the one to report
            if says_nothing(content) and not self.progress.file_existed:
                self.host = self.file.remove(self.host)
            else:
                self._write(content)

    def _write(self, content: str) -> None:
        if content != self.host.content or not self.host.system_id_seeded:
            self.host = self.file.replace(self.host, content)
