# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking: what the file and GitLab say about one wanted runner, in as few requests as the answer needs.

Where the file's token works: GET /runners/:id, then POST /runners/verify, and nothing else. The GET comes first so
that it shows when the runner's own process was last in contact (verify is a heartbeat), and so that a clone's token is
recognised by the key in the note before it is used. Lists are read only if the token does not settle the matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import parse
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.intents import LEASE, intents
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    Credential,
    Entry,
    Runner,
    Wanted,
    Way,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import Held, Seen
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.ports import GitLabPort
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFile

_WORTH = (Held.EXTERNAL, Held.OURS, Held.UNMARKED, Held.REFUSED, Held.FOREIGN, Held.ELSEWHERE, Held.NOTHING)


@dataclass(frozen=True)
class _Judgement:
    held: Held
    entry: Entry | None = None
    runner: Runner | None = None
    working: Credential | None = None


def look(wanted: Wanted, host: HostFile, gitlab: GitLabPort, run: str, *, asked: bool = False) -> Seen:
    """What is seen now; `run` is the name of this run in its intents, `asked` whether it has asked for a runner before.

    Raises ConfigTomlError for a file that does not parse, before any request, and GitLabError.
    """
    entries = [Entry.of(index, table) for index, table in enumerate(parse(host.content).get("runners", []))]
    named = [entry for entry in entries if entry.name == wanted.name]
    judgements = [_judge(wanted, entry, gitlab, host.system_id) for entry in named]
    best = min(judgements, key=lambda each: _WORTH.index(each.held), default=_Judgement(Held.NOTHING))
    given = _given(wanted, best, gitlab, host.system_id)
    if given:
        best = _Judgement(Held.NOTHING, best.entry)
    announced = intents(host.content, wanted.key)

    ours: tuple[Runner, ...] = ()
    if wanted.place and best.held is not Held.EXTERNAL:
        doubtful = best.held is not Held.OURS or len(named) > 1 or bool(announced) or asked
        if doubtful or not wanted.present:
            ours = gitlab.runners_with_key(wanted.place, wanted.key, wanted.description)
            best = _renamed(wanted, best, ours, entries, gitlab, host.system_id)
    kept_id = best.runner.id if best.runner else 0
    others = tuple(_with_managers(runner, gitlab) for runner in ours if runner.id != kept_id)
    if best.held is Held.UNMARKED and best.runner:
        best = replace(best, runner=_with_managers(best.runner, gitlab))

    return Seen(
        system_id=host.system_id,
        held=best.held,
        entry=best.entry,
        doubles=tuple(_doubles(wanted, best, others, entries)),
        runner=None if best.held is Held.FOREIGN else best.runner,
        stranger=best.runner if best.held is Held.FOREIGN else None,
        others=others,
        given=given,
        working=best.working,
        seeded=host.system_id_seeded,
        announced=any(intent.run == run for intent in announced),
        overdue=any(intent.older_than(LEASE, gitlab.clock()) for intent in announced),
    )


def _judge(wanted: Wanted, entry: Entry, gitlab: GitLabPort, system_id: str) -> _Judgement:
    """What the entry's token is worth."""
    if entry.from_environment:
        return _Judgement(Held.EXTERNAL, entry)
    if not entry.token:
        return _Judgement(Held.NOTHING, entry)
    runner = gitlab.runner(entry.id) if wanted.way is Way.API and entry.id else None
    if entry.url != wanted.url and (runner is None or runner.key != wanted.key):
        return _Judgement(Held.ELSEWHERE, entry)
    if runner and runner.key not in (None, wanted.key):
        # not verified: that would add this machine to another host's runner
        return _Judgement(Held.FOREIGN, entry, runner)
    working = gitlab.verify(entry.token, system_id)
    if working is None:
        return _Judgement(Held.REFUSED, entry)
    if wanted.way is not Way.API:
        return _Judgement(Held.OURS, entry, None, working)
    if runner is None or runner.id != working.id:  # the file says no id, or a wrong one
        runner = gitlab.runner(working.id)
    if runner is None:
        return _Judgement(Held.REFUSED, entry)  # deleted between two requests
    if runner.key not in (None, wanted.key):
        return _Judgement(Held.FOREIGN, entry, runner)
    return _Judgement(Held.OURS if runner.key else Held.UNMARKED, entry, runner, working)


def _given(wanted: Wanted, best: _Judgement, gitlab: GitLabPort, system_id: str) -> Credential | None:
    """A ready-made token that works while the file holds another one: it replaces that.

    After the runner's own process has rotated the token it is the other way round: the file's works, the given one
    does not, and the file's stays.
    """
    if wanted.way is not Way.READY or not wanted.present or best.held in (Held.ELSEWHERE, Held.EXTERNAL):
        return None
    if best.entry and best.entry.token == wanted.credential:
        return None
    return gitlab.verify(wanted.credential, system_id)


def _renamed(
    wanted: Wanted,
    best: _Judgement,
    ours: tuple[Runner, ...],
    entries: Iterable[Entry],
    gitlab: GitLabPort,
    system_id: str,
) -> _Judgement:
    """Where no entry has the name, but one holds the working token of a runner with our key: that one."""
    if best.entry is None:
        for entry in entries:
            if entry.url == wanted.url and entry.id in {runner.id for runner in ours}:
                judgement = _judge(wanted, entry, gitlab, system_id)
                if judgement.held is Held.OURS:
                    return judgement
    return best


def _doubles(wanted: Wanted, best: _Judgement, others: tuple[Runner, ...], entries: Iterable[Entry]) -> Iterable[Entry]:
    """Entries that say again what the kept one says: of its name, its token, or any runner with our key.

    One for another GitLab is none, whatever its name: its token works there.
    """
    foreign = best.held is Held.FOREIGN
    ids = {runner.id for runner in (*others, *((best.runner,) if best.runner and not foreign else ()))}
    token = best.entry.token if best.entry and not foreign else ""
    urls = {wanted.url, best.entry.url if best.entry else ""}
    for entry in entries:
        same_runner = entry.id in ids or (token != "" and entry.token == token)
        shared = wanted.way is Way.READY  # one ready-made token may stand in several entries on purpose
        here = (entry.url in urls or not entry.token) and not entry.from_environment
        if entry != best.entry and here and (entry.name == wanted.name or (same_runner and not shared)):
            yield entry


def _with_managers(runner: Runner, gitlab: GitLabPort) -> Runner:
    return replace(runner, managers=gitlab.managers(runner.id))
