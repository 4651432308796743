# SPDX-License-Identifier: GPL-3.0-or-later
"""Observing: what the file and GitLab say about one desired runner, in as few requests as the answer needs.

Where the file's token works: GET /runners/:id, then POST /runners/verify, and nothing else. The GET comes first so
that it shows when the runner's own process was last in contact (verify is a heartbeat), and so that a clone's token is
recognised by the key in the note before it is used. GitLab is searched only if the token does not settle the matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import parse
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import Credential, Runner
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.intents import LIFETIME, intents
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    AuthMethod,
    DesiredRunner,
    Entry,
    EntryStatus,
    ObservedState,
    key_of,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import UnsafeChange
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile

_PREFERENCE = (
    EntryStatus.FROM_ENVIRONMENT,
    EntryStatus.VALID,
    EntryStatus.UNMANAGED,
    EntryStatus.REVOKED,
    EntryStatus.OTHER_HOST,
    EntryStatus.OTHER_INSTANCE,
    EntryStatus.MISSING,
)
"""Which of several entries of one name counts."""


@dataclass(frozen=True)
class _InspectedEntry:
    status: EntryStatus
    entry: Entry | None = None
    runner: Runner | None = None
    credential: Credential | None = None


def observe(
    desired: DesiredRunner, host: HostFile, gitlab: GitLab, run: str, *, requested: bool = False
) -> ObservedState:
    """What there is now. `run` names this run in its intents, `requested` says that it has asked for a runner before.

    Raises ConfigTomlError for a file that does not parse, before any request; UnsafeChange where a search cannot tell
    whether a runner is ours; GitLabError.
    """
    entries = [Entry.of(index, table) for index, table in enumerate(parse(host.content).get("runners", []))]
    named = [entry for entry in entries if entry.name == desired.name]
    inspected = [_inspect(desired, entry, gitlab, host.system_id) for entry in named]
    best = min(
        inspected,
        key=lambda each: _PREFERENCE.index(each.status),
        default=_InspectedEntry(EntryStatus.MISSING),
    )
    supplied = _supplied_credential(desired, best, gitlab, host.system_id)
    if supplied:
        best = _InspectedEntry(EntryStatus.MISSING, best.entry)
    declared = intents(host.content, desired.key)

    ours: tuple[Runner, ...] = ()
    if desired.scope and best.status is not EntryStatus.FROM_ENVIRONMENT:
        doubtful = best.status is not EntryStatus.VALID or len(named) > 1 or bool(declared) or requested
        if doubtful or not desired.present:
            ours = search(desired, gitlab)
            if best.status is EntryStatus.REVOKED and best.runner:
                # the scope may be another one than when it was registered, and the search sees only that
                ours += () if best.runner.id in {runner.id for runner in ours} else (best.runner,)
                best = replace(best, runner=None)
            best = _renamed_entry(desired, best, ours, entries, gitlab, host.system_id)
    kept_id = best.runner.id if best.runner else 0
    duplicates = tuple(_with_managers(runner, gitlab) for runner in ours if runner.id != kept_id)
    if best.status is EntryStatus.UNMANAGED and best.runner:
        best = replace(best, runner=_with_managers(best.runner, gitlab))

    held = {each.credential.id for each in inspected if each.credential and each.entry != best.entry}
    known = {runner.id for runner in duplicates} | {best.credential.id if best.credential else 0}
    other_host = best.status is EntryStatus.OTHER_HOST
    return ObservedState(
        system_id=host.system_id,
        status=best.status,
        entry=best.entry,
        duplicate_entries=tuple(_duplicate_entries(desired, best, duplicates, entries)),
        runner=None if other_host else best.runner,
        foreign_runner=best.runner if other_host else None,
        duplicate_runners=duplicates,
        supplied_credential=supplied,
        verified_credential=best.credential,
        abandoned_runners=tuple(sorted(held - known)),
        system_id_seeded=host.system_id_seeded,
        intent_is_ours=any(intent.run == run for intent in declared),
        intent_expired=any(intent.older_than(LIFETIME, gitlab.clock()) for intent in declared),
    )


def search(desired: DesiredRunner, gitlab: GitLab) -> tuple[Runner, ...]:
    """All runners of the desired scope that carry the key, by ID; () without an API token.

    Raises UnsafeChange for a runner of the desired description whose note the token's user may not see: it may be ours.
    """
    if desired.scope is None:
        return ()
    listed = gitlab.list_runners(desired.scope)
    for each in listed:
        if each.note is None and each.description == desired.description:
            raise UnsafeChange(
                f'Runner {each.id} of {desired.scope} at {desired.url} is called "{each.description}" as well, but the '
                "API token's user may not see its maintenance note, by which runners are recognised. Use a token whose "
                "user may update that runner, or give the wanted one another description."
            )
    found = [each.runner or gitlab.runner(each.id) for each in listed if key_of(each.note) == desired.key]
    return tuple(runner for runner in found if runner and key_of(runner.note) == desired.key)


def _inspect(desired: DesiredRunner, entry: Entry, gitlab: GitLab, system_id: str) -> _InspectedEntry:
    """What the entry's token is worth."""
    if entry.from_environment:
        return _InspectedEntry(EntryStatus.FROM_ENVIRONMENT, entry)
    if not entry.token:
        return _InspectedEntry(EntryStatus.MISSING, entry)
    by_api_token = desired.auth_method is AuthMethod.API
    elsewhere = entry.url != desired.url
    # the id of another GitLab may here be that of a runner which is none of our business
    read = gitlab.runner_if_readable if elsewhere else gitlab.runner
    runner = read(entry.id) if by_api_token and entry.id else None
    key = key_of(runner.note) if runner else None
    if elsewhere and key != desired.key:
        return _InspectedEntry(EntryStatus.OTHER_INSTANCE, entry)
    if key not in (None, desired.key):
        # not verified: that would add this machine to another host's runner
        return _InspectedEntry(EntryStatus.OTHER_HOST, entry, runner)
    credential = gitlab.verify(entry.token, system_id)
    if credential is None:
        return _InspectedEntry(EntryStatus.REVOKED, entry, runner if key else None)
    if not by_api_token:
        return _InspectedEntry(EntryStatus.VALID, entry, None, credential)
    if runner is None or runner.id != credential.id:  # the file says no ID, or a wrong one
        runner = gitlab.runner(credential.id)
    if runner is None:
        return _InspectedEntry(EntryStatus.REVOKED, entry)  # deleted between two requests
    key = key_of(runner.note)
    if key not in (None, desired.key):
        return _InspectedEntry(EntryStatus.OTHER_HOST, entry, runner)
    return _InspectedEntry(EntryStatus.VALID if key else EntryStatus.UNMANAGED, entry, runner, credential)


def _supplied_credential(
    desired: DesiredRunner, best: _InspectedEntry, gitlab: GitLab, system_id: str
) -> Credential | None:
    """The play's own runner token, if it works while the file holds another one: it replaces that.

    After the runner's own process has rotated the token it is the other way round: the file's works, the supplied one
    does not, and the file's stays.
    """
    if desired.auth_method is not AuthMethod.RUNNER or not desired.present:
        return None
    if best.status in (EntryStatus.OTHER_INSTANCE, EntryStatus.FROM_ENVIRONMENT):
        return None
    if best.entry and best.entry.token == desired.credential:
        return None
    return gitlab.verify(desired.credential, system_id)


def _renamed_entry(
    desired: DesiredRunner,
    best: _InspectedEntry,
    ours: tuple[Runner, ...],
    entries: Iterable[Entry],
    gitlab: GitLab,
    system_id: str,
) -> _InspectedEntry:
    """Where no entry has the name, but one holds the working token of a runner with our key: that one."""
    if best.entry is None:
        for entry in entries:
            if entry.url == desired.url and entry.id in {runner.id for runner in ours}:
                inspected = _inspect(desired, entry, gitlab, system_id)
                if inspected.status is EntryStatus.VALID:
                    return inspected
    return best


def _duplicate_entries(
    desired: DesiredRunner, best: _InspectedEntry, duplicates: tuple[Runner, ...], entries: Iterable[Entry]
) -> Iterable[Entry]:
    """Entries that say again what the kept one says: of its name, its token, or any runner with our key.

    One for another GitLab is none, whatever its name: its token works there. Unless it is taken over: then those for
    the same GitLab go with it.
    """
    other_host = best.status is EntryStatus.OTHER_HOST
    taken_over = desired.present or best.status is not EntryStatus.OTHER_INSTANCE
    ids = {runner.id for runner in (*duplicates, *((best.runner,) if best.runner and not other_host else ()))}
    token = best.entry.token if best.entry and not other_host else ""
    urls = {desired.url, *((best.entry.url,) if best.entry and taken_over else ())}
    for entry in entries:
        same_runner = entry.id in ids or (token != "" and entry.token == token)
        shared = desired.auth_method is AuthMethod.RUNNER  # one token may stand in several entries on purpose
        here = (entry.url in urls or not entry.token) and not entry.from_environment
        if entry != best.entry and here and (entry.name == desired.name or (same_runner and not shared)):
            yield entry


def _with_managers(runner: Runner, gitlab: GitLab) -> Runner:
    return replace(runner, managers=gitlab.managers(runner.id))
