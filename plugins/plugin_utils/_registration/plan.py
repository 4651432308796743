# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision: from what is desired and what is observed to a short list of steps. Pure, and complete by construction.

The status of the file's entry x what GitLab holds under our key (nothing, or some runners) is all there is:

    entry \\ GitLab    no other runner with our key         some runners with our key
    VALID             keep it                              keep it, delete the others
    UNMANAGED         adopt it (our key into its note)     adopt it, delete the others
    MISSING           create                               adopt the one in contact last, delete the others
    REVOKED           create                               reset the token of the one in contact last, delete the others
    OTHER_HOST        create                               as MISSING
    OTHER_INSTANCE    refuse, or with `takeover` as MISSING
    FROM_ENVIRONMENT  refuse

Whatever is kept or adopted gets the desired attributes, and the file exactly one entry. A runner that another machine
runs, or that only other machines ever ran, is neither adopted nor deleted, unless the play says `takeover`. Without an
API token GitLab shows no runner but the one whose token we hold: the right column is out of sight, and a runner token
that the play supplies is never replaced.

The order of the steps is part of the decision: wherever the play is killed, the next run observes a state from which
this table leads to one runner (docs/registration.md goes through the windows).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import (
    NO_SYSTEM_ID,
    NOTE_LIMIT,
    Credential,
    Manager,
    Runner,
    parse_time,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    AuthMethod,
    DesiredRunner,
    Entry,
    EntryStatus,
    ObservedState,
    attribute_changes,
    users_part,
    with_key,
)


class UnsafeChange(Exception):
    """What is observed must not be changed without a person's decision; one sentence that says which."""


class Step:
    """One thing to do."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What a user reads of it in `actions`."""
        return ()


@dataclass(frozen=True)
class DeclareIntent(Step):
    """Write our intent into the file."""


@dataclass(frozen=True)
class DeleteRunner(Step):
    """Delete a runner with our key. `duplicate`: another one stays."""

    runner: Runner
    duplicate: bool

    @property
    def labels(self) -> tuple[str, ...]:
        return ("removed_duplicate",) if self.duplicate else ("deleted",)


@dataclass(frozen=True)
class DeleteByToken(Step):
    """Delete in GitLab what the entry's token stands for: the runner, or only this machine's share in it."""

    entry: Entry
    whole_runner: bool

    @property
    def labels(self) -> tuple[str, ...]:
        return ("deleted",) if self.whole_runner else ("manager_removed",)


@dataclass(frozen=True)
class CreateRunner(Step):
    """Ask GitLab for a new runner."""

    @property
    def labels(self) -> tuple[str, ...]:
        return ("created",)


@dataclass(frozen=True)
class ResetToken(Step):
    """Ask GitLab for a new token of a runner. `adopted` if the file did not hold an older one of it."""

    runner: Runner
    adopted: bool

    @property
    def labels(self) -> tuple[str, ...]:
        return ("adopted", "token_reset") if self.adopted else ("token_reset",)


@dataclass(frozen=True)
class UpdateRunner(Step):
    """PUT the changes. `adopted` if our key is among them and no key stood there before."""

    runner: Runner
    changes: Mapping[str, Any]
    adopted: bool

    @property
    def labels(self) -> tuple[str, ...]:
        return ("adopted", "updated") if self.adopted else ("updated",)


@dataclass(frozen=True)
class WriteEntry(Step):
    """Put name, url, ID and token into the entry (None appends one); take duplicates and settled intents out.

    Without a `credential` it is the one that the step before obtained.
    """

    entry: Entry | None
    duplicates: tuple[Entry, ...] = ()
    credential: Credential | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        return ("entry_written",)


@dataclass(frozen=True)
class RemoveEntries(Step):
    """Take entries out of the file."""

    entries: tuple[Entry, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return ("entry_removed",)


@dataclass(frozen=True)
class SettleIntents(Step):
    """Take our own intent and those that have expired out of the file."""

    expired: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        return ("settled",) if self.expired else ()


def plan(desired: DesiredRunner, observed: ObservedState) -> list[Step]:
    """What to do, in this order; [] if everything is as desired. Raises UnsafeChange."""
    if observed.status is EntryStatus.FROM_ENVIRONMENT:
        raise UnsafeChange(
            f'The entry "{desired.name}" takes its token or url from an environment variable of GitLab Runner ($...), '
            "which this collection cannot see: write the values themselves into config.toml, or give the wanted runner "
            "another name."
        )
    if not desired.present:
        return _remove(desired, observed)
    if observed.status is EntryStatus.OTHER_INSTANCE and observed.entry and not desired.takeover:
        raise UnsafeChange(
            f'The entry "{desired.name}" is for {observed.entry.url}, but {desired.url} is wanted: remove it there '
            "first (state: absent), give the wanted runner another name, or overwrite the entry with takeover: true."
        )
    if observed.status in (EntryStatus.VALID, EntryStatus.UNMANAGED):
        return _keep(desired, observed)
    if observed.duplicate_runners:
        return _adopt(desired, observed)
    return _create(desired, observed)


def _keep(desired: DesiredRunner, observed: ObservedState) -> list[Step]:
    adopted = observed.status is EntryStatus.UNMANAGED
    if adopted and not desired.adopt_existing_entry:
        raise UnsafeChange(
            f'The entry "{desired.name}" holds a working token of runner {_id(observed)}, which was not registered by '
            "this collection; set adopt_existing_entry: true to take it over, or give the wanted runner another name."
        )
    if adopted and observed.runner:
        _require_not_run_elsewhere(desired, observed, (observed.runner,))
    _require_run_here(desired, observed, observed.duplicate_runners)
    steps: list[Step] = [DeleteRunner(runner, duplicate=True) for runner in observed.duplicate_runners]
    if observed.runner:
        _require_scope(desired, observed.runner)
        changes = attribute_changes(desired, observed.runner)
        _require_room(desired, observed.runner, changes)
        steps += [UpdateRunner(observed.runner, changes, adopted)] if changes else []
    if observed.duplicate_entries or not observed.system_id_seeded or _entry_differs(desired, observed):
        steps.append(WriteEntry(observed.entry, observed.duplicate_entries, observed.verified_credential))
    return steps + _settle(observed)


def _adopt(desired: DesiredRunner, observed: ObservedState) -> list[Step]:
    _require_run_here(desired, observed, observed.duplicate_runners)
    kept = last_in_contact(observed.duplicate_runners)
    _require_scope(desired, kept)
    changes = attribute_changes(desired, kept)
    return [
        DeclareIntent(),
        *(DeleteRunner(runner, duplicate=True) for runner in observed.duplicate_runners if runner is not kept),
        ResetToken(kept, adopted=observed.status is not EntryStatus.REVOKED),
        WriteEntry(observed.entry, observed.duplicate_entries),
        *([UpdateRunner(kept, changes, adopted=False)] if changes else []),
        *_settle(observed),
    ]


def _create(desired: DesiredRunner, observed: ObservedState) -> list[Step]:
    if desired.auth_method is AuthMethod.RUNNER:
        if observed.supplied_credential is None:
            raise UnsafeChange(
                "GitLab refuses the token that was given, and there is no working one in the file: it was reset, has "
                "expired, or its runner is deleted. Give a new runner authentication token, or use api_token."
            )
        entry = WriteEntry(observed.entry, observed.duplicate_entries, observed.supplied_credential)
        return [entry, *_settle(observed)]
    entry = WriteEntry(observed.entry, observed.duplicate_entries)
    return [DeclareIntent(), CreateRunner(), entry, *_settle(observed)]


def _remove(desired: DesiredRunner, observed: ObservedState) -> list[Step]:
    steps: list[Step] = []
    valid = observed.status is EntryStatus.VALID
    if desired.auth_method is AuthMethod.API:
        _require_run_here(desired, observed, observed.duplicate_runners)
        ours = [*([observed.runner] if valid and observed.runner else []), *observed.duplicate_runners]
        steps += [DeleteRunner(runner, duplicate=False) for runner in ours]
    elif valid and observed.entry:
        # a runner token may be shared by many machines: only our share in the runner goes
        by_registration = desired.auth_method is AuthMethod.REGISTRATION
        steps.append(
            DeleteByToken(observed.entry, whole_runner=by_registration and not observed.entry.is_created_runner)
        )
    elsewhere = observed.status is EntryStatus.OTHER_INSTANCE
    entry = () if observed.entry is None or elsewhere else (observed.entry,)
    steps += [RemoveEntries((*entry, *observed.duplicate_entries))] if entry or observed.duplicate_entries else []
    return steps + _settle(observed)


def last_in_contact(runners: tuple[Runner, ...]) -> Runner:
    """The one that was in contact last; of those that never were, the oldest."""

    def recency(runner: Runner) -> tuple[float, int]:
        contact = parse_time(runner.contacted_at)
        return (contact.timestamp() if contact else 0.0, -runner.id)

    return max(runners, key=recency)


def other_managers(runner: Runner, system_id: str) -> list[Manager]:
    """The machines besides `system_id` that run the runner or once did, as far as GitLab still knows."""
    managers = runner.managers or ()
    return [manager for manager in managers if manager.system_id not in (system_id, NO_SYSTEM_ID)]


def describe_machine(manager: Manager) -> str:
    address = f" at {manager.ip_address}" if manager.ip_address else ""
    return f"system id {manager.system_id}{address}, last contact at {manager.contacted_at or 'an unknown time'}"


def _settle(observed: ObservedState) -> list[Step]:
    return [SettleIntents(observed.intent_expired)] if observed.intent_is_ours or observed.intent_expired else []


def _id(observed: ObservedState) -> int:
    return observed.verified_credential.id if observed.verified_credential else 0


def _entry_differs(desired: DesiredRunner, observed: ObservedState) -> bool:
    entry = observed.entry
    return entry is not None and (entry.name, entry.url, entry.id) != (desired.name, desired.url, _id(observed))


def _require_not_run_elsewhere(desired: DesiredRunner, observed: ObservedState, runners: tuple[Runner, ...]) -> None:
    """Two machines claim one name: a clone, a host named twice, or an old card that still runs somewhere."""
    if desired.takeover:
        return
    for runner in runners:
        for manager in other_managers(runner, observed.system_id):
            if manager.online:
                raise UnsafeChange(
                    f"Runner {runner.id} ({desired.key}) is run by another machine, {describe_machine(manager)}; this "
                    f"host is {observed.system_id}. If that machine is gone or is this one under an older id, set "
                    "takeover: true; otherwise two hosts are using one name."
                )


def _require_run_here(desired: DesiredRunner, observed: ObservedState, runners: tuple[Runner, ...]) -> None:
    """Nor is a runner ours because its machine is silent: another team's inventory may use the same names."""
    _require_not_run_elsewhere(desired, observed, runners)
    if desired.takeover:
        return
    for runner in runners:
        others = other_managers(runner, observed.system_id)
        if others and all(manager.system_id != observed.system_id for manager in runner.managers or ()):
            last = max(others, key=lambda manager: manager.contacted_at)
            raise UnsafeChange(
                f"Runner {runner.id} ({desired.key}) was run by another machine, {describe_machine(last)}; this host "
                f"is {observed.system_id}. If this host takes that machine's place, set takeover: true; if another "
                "inventory uses the same names, give one of the two a fleet of its own."
            )


def _require_scope(desired: DesiredRunner, runner: Runner) -> None:
    """GitLab cannot move a runner, and deleting one to create another is not ours to decide."""
    scope = desired.scope
    if scope is None:
        return
    elsewhere = scope.owner is not None and bool(runner.owners) and scope.owner not in runner.owners
    if runner.runner_type != scope.runner_type or elsewhere:
        has = ", ".join(str(owner) for owner in sorted(runner.owners))
        raise UnsafeChange(
            f"Runner {runner.id} is a {runner.runner_type} runner{' of ' + has if has else ''}, but {scope} is wanted, "
            "and GitLab cannot move a runner: run once with state: absent (and the old place), then again."
        )


def _require_room(desired: DesiredRunner, runner: Runner, changes: Mapping[str, Any]) -> None:
    """Somebody's note is not shortened, and GitLab would refuse the longer one after other steps were done."""
    if len(changes.get("maintenance_note", "")) > NOTE_LIMIT:
        room = NOTE_LIMIT - len(with_key("", desired.key)) - 1
        raise UnsafeChange(
            f"The maintenance note of runner {runner.id} has {len(users_part(runner.note or ''))} characters, and with "
            f"our key ({desired.key}) it may have {room}: shorten it in GitLab, or say with maintenance_note what it "
            "becomes."
        )
