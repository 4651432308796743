# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes in GitLab of the runners whose entries `purge` removes from config.toml.

Without its entry nobody holds a runner's token any more, and no later run has a reason to look for it. So a runner that
this collection registered for this host goes with its entry. Any other one stays, and the user is told which and why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import parse, unlisted
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.redaction import scrubbed
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import RequestRejected
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import Runner
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import Entry, key_of
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import describe_machine, other_managers


@dataclass(frozen=True)
class Owner:
    """Whose runners may be deleted.

    url: the GitLab that can be asked, "" if none can. keys: what a key of this host starts with. desired: the names of
    the host's runners. system_id: this machine.
    """

    url: str
    keys: str
    desired: Collection[str]
    system_id: str


@dataclass
class PurgedRunners:
    """Runners to be deleted by id, and one sentence for each that stays without an entry."""

    leaving: dict[int, Runner] = field(default_factory=dict)
    staying: list[str] = field(default_factory=list)


def owner_of(options: Mapping[str, Any], host: str, desired: Sequence[Mapping[str, Any]], system_id: str) -> Owner:
    """The owner that a task's fleet, url and api_token speak of. desired: the runners that keep their entries."""
    return Owner(
        url=(options["url"] or "").rstrip("/") if options["api_token"] else "",
        keys=f"{options['fleet']}/{host}/",
        desired={runner["name"] for runner in desired},
        system_id=system_id,
    )


def delete_runners_of_purged_entries(
    text: str,
    desired: list[dict[str, Any]],
    owner: Owner,
    connect: Callable[[], GitLab],
    *,
    check_mode: bool,
) -> PurgedRunners:
    """Delete in GitLab what the entries of ``text`` that are not ``desired`` stand for; in check mode only look.

    Not after the entries are gone: then nobody would know the runners any more. Raises GitLabError.
    """
    tables = parse(text)["runners"]
    entries = [Entry.of(index, table) for index, table in enumerate(tables)]
    outdated = unlisted(tables, desired)
    found = runners_of_purged_entries(
        [entry for entry in entries if entry.index in outdated],
        [entry for entry in entries if entry.index not in outdated],
        owner,
        connect,
    )
    if not check_mode:
        for runner in found.leaving.values():
            connect().delete(runner.id)
    return found


def deletion_shown(runner: Runner, url: str) -> dict[str, str]:
    """The deletion of a runner as a difference."""
    title = f"GitLab at {url}"
    shown = f"runner {runner.id} ({key_of(runner.note)})\n"
    return {"before_header": title, "after_header": title, "before": shown, "after": ""}


def runners_of_purged_entries(
    purged: Iterable[Entry], kept: Iterable[Entry], owner: Owner, connect: Callable[[], GitLab]
) -> PurgedRunners:
    """Look at the runner of each purged entry. Asks GitLab only if there is one to ask about; raises GitLabError."""
    found, used = PurgedRunners(), {(entry.url, entry.id) for entry in kept}
    for entry in purged:
        if not (entry.id or entry.token) or (entry.id and (entry.url, entry.id) in used):
            continue
        used.add((entry.url, entry.id))
        runner, reason = _runner_of(entry, owner, connect)
        if reason:
            which = f"Runner {entry.id}" if entry.id else "The runner"
            where = f" at {entry.url}" if entry.url else ""
            sentence = f'{which} of the purged entry "{entry.name}" stays in GitLab{where}: {reason}.'
            found.staying.append(scrubbed(sentence))
        elif runner:
            found.leaving[runner.id] = runner
    return found


def _runner_of(entry: Entry, owner: Owner, connect: Callable[[], GitLab]) -> tuple[Runner | None, str]:
    """The entry's runner, None if it is gone, and why it must stay, "" if it need not."""
    if not owner.url:
        return None, "without api_token it cannot be deleted"
    if entry.url != owner.url:
        return None, f"the api_token is for {owner.url}"
    if not entry.id:
        return None, "the entry has no id by which it could be found"
    gitlab = connect()
    try:
        runner = gitlab.runner(entry.id)
    except RequestRejected as rejection:
        if rejection.status == 403 and "No access granted" in rejection.message:
            return None, "the api_token may not see it"
        raise
    return runner, _reason_to_keep(runner, owner, gitlab) if runner else ""


def _reason_to_keep(runner: Runner, owner: Owner, gitlab: GitLab) -> str:
    key = key_of(runner.note)
    if key is None:
        return "it was not registered by this collection"
    if not key.startswith(owner.keys) or key.removeprefix(owner.keys) in owner.desired:
        return f"it is that of {key}"
    for manager in other_managers(replace(runner, managers=gitlab.managers(runner.id)), owner.system_id):
        if manager.online:
            return f"another machine runs it, {describe_machine(manager)}"
    return ""
