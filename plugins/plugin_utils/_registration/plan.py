# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision: from what is wanted and what is seen to a short list of actions. Pure, and complete by construction.

What the file holds (Held) x what GitLab holds under our key (nothing, or some runners) is all there is:

    file \\ GitLab   no other runner with our key         some runners with our key
    OURS             keep it                              keep it, delete the others
    UNMARKED         adopt it (our key into its note)     adopt it, delete the others
    NOTHING          create                               adopt the one in contact last, delete the others
    REFUSED          create                               reset the token of the one in contact last, delete the others
    FOREIGN          create                               as NOTHING
    ELSEWHERE        refuse, or with `takeover` as NOTHING
    EXTERNAL         refuse

Whatever is kept or adopted gets the wanted attributes, and the file exactly one entry. A runner that another machine
runs, or that only other machines ever ran, is neither adopted nor deleted, unless the play says `takeover`. Without an
API token GitLab shows no runner but the one whose token we hold: the right column is out of sight, and a ready-made
token is never replaced.

The order of the actions is part of the decision: wherever the play is killed, the next run sees a state from which
this table leads to one runner (docs/registration.md goes through the windows).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    Credential,
    Entry,
    Manager,
    Runner,
    Wanted,
    Way,
    drift,
    instant,
)

NAMELESS = "<legacy>"
"""The system id that GitLab notes for a request without one, such as the reset with which a runner process rotates its
token: no machine."""


class Held(Enum):
    """What the token in the file's entry of the wanted name is worth."""

    NOTHING = "there is no entry of that name, or it has no token"
    OURS = "GitLab accepts the token, and its runner carries our key (or is out of our sight)"
    UNMARKED = "GitLab accepts the token, and its runner carries no key"
    REFUSED = "GitLab refuses the token, or its runner is gone"
    FOREIGN = "its runner carries the key of another host: this file was cloned, or the host renamed"
    ELSEWHERE = "the entry is for another GitLab, which must not see or lose its token"
    EXTERNAL = "GitLab Runner takes the token or the address from its environment, which nobody sees here"


@dataclass(frozen=True)
class Seen:
    """What was seen in one look at the file and GitLab.

    entry: the entry that `held` speaks of. doubles: further entries for the same runner, to be taken out.
    runner: the runner of the entry's token, None if it is not usable or not visible (no API token).
    others: runners with our key besides `runner`, () also when nobody had to look.
    stranger: where the entry's token is another host's, that host's runner.
    given: the ready-made token of the play, if GitLab accepts it and the file holds another one.
    """

    system_id: str
    held: Held
    entry: Entry | None = None
    doubles: tuple[Entry, ...] = ()
    runner: Runner | None = None
    others: tuple[Runner, ...] = ()
    stranger: Runner | None = None
    given: Credential | None = None
    working: Credential | None = None
    """The entry's token as GitLab verified it."""
    seeded: bool = True
    announced: bool = False
    """This run's own intent stands in the file."""
    overdue: bool = False
    """An intent stands in the file that no run can still be about."""


@dataclass(frozen=True)
class Announce:
    """Write our intent into the file."""


@dataclass(frozen=True)
class Delete:
    """Delete a runner with our key."""

    runner: Runner


@dataclass(frozen=True)
class DeleteByToken:
    """Delete in GitLab what the entry's token stands for: the runner, or only this machine's share in it."""

    entry: Entry
    whole: bool


@dataclass(frozen=True)
class Create:
    """Ask GitLab for a new runner."""


@dataclass(frozen=True)
class ResetToken:
    """Ask GitLab for a new token of a runner. `adopted` if the file did not hold an older one of it."""

    runner: Runner
    adopted: bool


@dataclass(frozen=True)
class Update:
    """PUT the changes. `adopted` if our key is among them and no key stood there before."""

    runner: Runner
    changes: Mapping[str, Any]
    adopted: bool


@dataclass(frozen=True)
class WriteEntry:
    """Put name, url, id and token into the entry (None appends one); take the doubles and settled intents out.

    Without a `credential` it is the one that the action before brought.
    """

    entry: Entry | None
    doubles: tuple[Entry, ...] = ()
    credential: Credential | None = None


@dataclass(frozen=True)
class RemoveEntries:
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Settle:
    """Take our own intent and those that are overdue out of the file."""

    overdue: bool = False


Action = Announce | Delete | DeleteByToken | Create | ResetToken | Update | WriteEntry | RemoveEntries | Settle


class Refusal(Exception):
    """What is seen must not be changed without a person's decision; one sentence that says which."""


def plan(wanted: Wanted, seen: Seen) -> list[Action]:
    """What to do, in this order; [] if everything is as wanted. Raises Refusal."""
    if seen.held is Held.EXTERNAL:
        raise Refusal(
            f'The entry "{wanted.name}" takes its token or url from an environment variable of GitLab Runner ($...), '
            "which this collection cannot see: write the values themselves into config.toml, or give the wanted runner "
            "another name."
        )
    if not wanted.present:
        return _remove(wanted, seen)
    if seen.held is Held.ELSEWHERE and seen.entry and not wanted.takeover:
        raise Refusal(
            f'The entry "{wanted.name}" is for {seen.entry.url}, but {wanted.url} is wanted: remove it there first '
            "(state: absent), give the wanted runner another name, or overwrite the entry with takeover: true."
        )
    if seen.held in (Held.OURS, Held.UNMARKED):
        return _keep(wanted, seen)
    if seen.others:
        return _adopt(wanted, seen)
    return _create(wanted, seen)


def _keep(wanted: Wanted, seen: Seen) -> list[Action]:
    adopted = seen.held is Held.UNMARKED
    if adopted and not wanted.adopt_existing_entry:
        raise Refusal(
            f'The entry "{wanted.name}" holds a working token of runner {_id(seen)}, which was not registered by this '
            "collection; set adopt_existing_entry: true to take it over, or give the wanted runner another name."
        )
    if adopted and seen.runner:
        _refuse_what_others_run(wanted, seen, (seen.runner,))
    _refuse_what_is_of_others(wanted, seen, seen.others)
    actions: list[Action] = [Delete(runner) for runner in seen.others]
    if seen.runner:
        _refuse_another_place(wanted, seen.runner)
        changes = drift(wanted, seen.runner)
        actions += [Update(seen.runner, changes, adopted)] if changes else []
    if seen.doubles or not seen.seeded or _entry_is_off(wanted, seen):
        actions.append(WriteEntry(seen.entry, seen.doubles, seen.working))
    return actions + _settle(seen)


def _adopt(wanted: Wanted, seen: Seen) -> list[Action]:
    _refuse_what_is_of_others(wanted, seen, seen.others)
    kept = last_in_contact(seen.others)
    _refuse_another_place(wanted, kept)
    changes = drift(wanted, kept)
    return [
        Announce(),
        *(Delete(runner) for runner in seen.others if runner is not kept),
        ResetToken(kept, adopted=seen.held is not Held.REFUSED),
        WriteEntry(seen.entry, seen.doubles),
        *([Update(kept, changes, adopted=False)] if changes else []),
        *_settle(seen),
    ]


def _create(wanted: Wanted, seen: Seen) -> list[Action]:
    if wanted.way is Way.READY and seen.given:
        return [WriteEntry(seen.entry, seen.doubles, seen.given), *_settle(seen)]
    if wanted.way is Way.READY:
        raise Refusal(
            "GitLab refuses the token that was given, and there is no working one in the file: it was reset, has "
            "expired, or its runner is deleted. Give a new runner authentication token, or use api_token."
        )
    return [Announce(), Create(), WriteEntry(seen.entry, seen.doubles), *_settle(seen)]


def _remove(wanted: Wanted, seen: Seen) -> list[Action]:
    actions: list[Action] = []
    if wanted.way is Way.API:
        ours = [*([seen.runner] if seen.held is Held.OURS and seen.runner else []), *seen.others]
        _refuse_what_is_of_others(wanted, seen, seen.others)
        actions += [Delete(runner) for runner in ours]
    elif seen.held is Held.OURS and seen.entry:
        # a ready-made token may be shared by many machines: only our share in the runner goes
        actions.append(DeleteByToken(seen.entry, whole=wanted.way is Way.REGISTRATION and not seen.entry.ready_made))
    entry = () if seen.entry is None or seen.held is Held.ELSEWHERE else (seen.entry,)
    actions += [RemoveEntries((*entry, *seen.doubles))] if entry or seen.doubles else []
    return actions + _settle(seen)


def last_in_contact(runners: tuple[Runner, ...]) -> Runner:
    """The one that GitLab heard from last; of those it never heard from, the oldest."""

    def recency(runner: Runner) -> tuple[float, int]:
        contact = instant(runner.contacted_at)
        return (contact.timestamp() if contact else 0.0, -runner.id)

    return max(runners, key=recency)


def _settle(seen: Seen) -> list[Action]:
    return [Settle(seen.overdue)] if seen.announced or seen.overdue else []


def _id(seen: Seen) -> int:
    return seen.working.id if seen.working else 0


def _entry_is_off(wanted: Wanted, seen: Seen) -> bool:
    entry = seen.entry
    return entry is not None and (entry.name, entry.url, entry.id) != (wanted.name, wanted.url, _id(seen))


def other_managers(runner: Runner, system_id: str) -> list[Manager]:
    """The machines besides `system_id` that run the runner or once did, as far as GitLab still knows."""
    managers = runner.managers or ()
    return [manager for manager in managers if manager.system_id not in (system_id, NAMELESS)]


def _refuse_what_others_run(wanted: Wanted, seen: Seen, runners: tuple[Runner, ...]) -> None:
    """Two machines claim one name: a clone, a host named twice, or an old card that still runs somewhere."""
    if wanted.takeover:
        return
    for runner in runners:
        for manager in other_managers(runner, seen.system_id):
            if manager.online:
                raise Refusal(
                    f"Runner {runner.id} ({wanted.key}) is run by another machine, {_machine(manager)}; this host is "
                    f"{seen.system_id}. If that machine is gone or is this one under an older id, set takeover: true; "
                    "otherwise two hosts are using one name."
                )


def _refuse_what_is_of_others(wanted: Wanted, seen: Seen, runners: tuple[Runner, ...]) -> None:
    """Nor is a runner ours because its machine is silent: another team's inventory may use the same names."""
    _refuse_what_others_run(wanted, seen, runners)
    if wanted.takeover:
        return
    for runner in runners:
        others = other_managers(runner, seen.system_id)
        if others and all(manager.system_id != seen.system_id for manager in runner.managers or ()):
            last = max(others, key=lambda manager: manager.contacted_at)
            raise Refusal(
                f"Runner {runner.id} ({wanted.key}) was run by another machine, {_machine(last)}; this host is "
                f"{seen.system_id}. If this host takes that machine's place, set takeover: true; if another inventory "
                "uses the same names, give one of the two a fleet of its own."
            )


def _refuse_another_place(wanted: Wanted, runner: Runner) -> None:
    """GitLab cannot move a runner, and deleting one to create another is not ours to decide."""
    place = wanted.place
    if place is None:
        return
    elsewhere = place.owner is not None and bool(runner.owners) and place.owner not in runner.owners
    if runner.runner_type != place.runner_type or elsewhere:
        has = ", ".join(str(owner) for owner in sorted(runner.owners))
        raise Refusal(
            f"Runner {runner.id} is a {runner.runner_type} runner{' of ' + has if has else ''}, but {place} is wanted, "
            "and GitLab cannot move a runner: run once with state: absent (and the old place), then again."
        )


def _machine(manager: Manager) -> str:
    address = f" at {manager.ip_address}" if manager.ip_address else ""
    return f"system id {manager.system_id}{address}, last heard of at {manager.contacted_at or 'an unknown time'}"
