# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision on its own, over every combination of what can be wanted and seen: what holds of every plan."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    Credential,
    Entry,
    Manager,
    Place,
    Runner,
    Wanted,
    Way,
    with_key,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import (
    Action,
    Announce,
    Create,
    Delete,
    DeleteByToken,
    Held,
    Refusal,
    RemoveEntries,
    ResetToken,
    Seen,
    Settle,
    Update,
    WriteEntry,
    plan,
)

HERE, THERE = "s_000000000001", "s_0000000000ff"
KEY, URL = "default/pi-01/docker", "https://gitlab.example.com"

Case = tuple[Wanted, Seen]


def runner(
    number: int, *, note: str = with_key("", KEY), on: str = HERE, online: bool = True, contact: str = ""
) -> Runner:
    managers = (Manager(on, online, "192.0.2.7", "2026-01-01T12:00:00Z"),)
    return Runner(
        number, "project_type", frozenset({42}), "pi-01 docker", note, {}, contacted_at=contact, managers=managers
    )


def cases() -> Iterator[Case]:
    """Everything that a look can bring; where GitLab cannot be searched there is nothing in the right column."""
    double = Entry(1, "docker", URL, 9, "glrt-9")
    for way, present, takeover, adopting in itertools.product(Way, *[[True, False]] * 3):
        wanted = Wanted(
            host="pi-01",
            name="docker",
            url=URL,
            key=KEY,
            way=way,
            credential="secret",
            place=Place("project_type", 42) if way is Way.API else None,
            description="pi-01 docker",
            attributes={},
            present=present,
            takeover=takeover,
            adopt_existing_entry=adopting,
        )
        others = [
            (),
            (runner(2),),
            (runner(2), runner(3, contact="2026-01-01T12:00:00Z")),
            (runner(4, on=THERE),),
            (runner(4, on=THERE, online=False),),
            (replace(runner(5), managers=None),),
        ]
        tokens = ["glrt-1"] if way is Way.API else ["glrt-1", "glrtr-1"]
        for held, found, token, doubled, seeded, announced, overdue in itertools.product(
            Held, others if way is Way.API else [()], tokens, *[[True, False]] * 4
        ):
            if way is not Way.API and held in (Held.UNMARKED, Held.FOREIGN):
                continue  # notes are out of sight
            works = held in (Held.OURS, Held.UNMARKED)
            note = "" if held is Held.UNMARKED else with_key("", KEY)
            yield (
                wanted,
                Seen(
                    system_id=HERE,
                    held=held,
                    entry=None if held is Held.NOTHING and not doubled else Entry(0, "docker", URL, 1, token),
                    doubles=(double,) if doubled else (),
                    runner=runner(1, note=note) if works and way is Way.API else None,
                    others=found,
                    working=Credential(1, token) if works else None,
                    seeded=seeded,
                    announced=announced,
                    overdue=overdue,
                ),
            )


def plans(present: bool | None = None) -> Iterator[tuple[Wanted, Seen, list[Action]]]:
    for wanted, seen in cases():
        if present in (None, wanted.present):
            try:
                yield wanted, seen, plan(wanted, seen)
            except Refusal:
                continue


def kinds(actions: list[Action]) -> list[type]:
    return [type(action) for action in actions]


def test_there_is_a_plan_or_a_sentence_for_everything() -> None:
    assert sum(1 for _ in cases()) == 8 * 16 * (7 * 6 + 5 * 2 + 5 * 2)
    sentences = []
    for wanted, seen in cases():
        try:
            plan(wanted, seen)
        except Refusal as refusal:
            sentences.append(str(refusal))
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in sentences)


def test_what_the_environment_holds_is_never_touched() -> None:
    for wanted, seen in cases():
        if seen.held is Held.EXTERNAL:
            with pytest.raises(Refusal, match="environment variable of GitLab Runner"):
                plan(wanted, seen)


def test_where_managers_are_not_shown_none_is_in_the_way() -> None:
    unknown = [actions for _wanted, seen, actions in plans(present=True) if [each.id for each in seen.others] == [5]]
    assert {kind for actions in unknown for kind in kinds(actions)} >= {Delete, ResetToken}


def test_exactly_one_runner_is_left() -> None:
    for wanted, seen, actions in plans(present=True):
        ours = {each.id for each in (*((seen.runner,) if seen.runner else ()), *seen.others)}
        deleted = {action.runner.id for action in actions if isinstance(action, Delete)}
        assert deleted <= ours
        created = kinds(actions).count(Create)
        visible = wanted.way is Way.API
        known = 1 if seen.held is Held.OURS and not visible else 0
        assert len(ours - deleted) + created + known == 1, (wanted, seen, actions)


def test_nothing_is_left_after_a_removal_but_what_is_not_ours() -> None:
    for wanted, seen, actions in plans(present=False):
        deleted = {action.runner.id for action in actions if isinstance(action, Delete)}
        mine = {seen.runner.id} if seen.held is Held.OURS and seen.runner else set()
        assert deleted == mine | {each.id for each in seen.others}
        assert not {Create, ResetToken, Update, WriteEntry, Announce} & set(kinds(actions))
        gone = next((action.entries for action in actions if isinstance(action, RemoveEntries)), ())
        assert (seen.entry in gone) == (seen.entry is not None and seen.held is not Held.ELSEWHERE)
        whole = [action.whole for action in actions if isinstance(action, DeleteByToken)]
        if seen.held is not Held.OURS or wanted.way is Way.API:
            assert whole == []
        else:  # a runner that no registration token made may be somebody else's
            assert seen.entry
            assert whole == [wanted.way is Way.REGISTRATION and seen.entry.token == "glrtr-1"]


def test_the_file_ends_with_one_entry_and_a_working_token() -> None:
    for _wanted, seen, actions in plans(present=True):
        writes = [action for action in actions if isinstance(action, WriteEntry)]
        new_token = {Create, ResetToken} & set(kinds(actions))
        assert len(writes) == 1 or (not new_token and not seen.doubles and seen.seeded and seen.working)
        for write in writes:
            assert write.entry == seen.entry
            assert write.doubles == seen.doubles
            assert (write.credential is None) == bool(new_token)


def test_the_order_survives_a_kill() -> None:
    """Announced before GitLab is asked; duplicates gone before the file's token works and hides them; cleared last."""
    rank = {Announce: 0, Delete: 1, Create: 2, ResetToken: 2, WriteEntry: 3, Update: 4, Settle: 5}
    for _wanted, seen, actions in plans(present=True):
        ranks = [rank[kind] for kind in kinds(actions)]
        if seen.runner is None:
            assert ranks == sorted(ranks)
        elif Delete in kinds(actions):
            last = max(index for index, kind in enumerate(kinds(actions)) if kind is Delete)
            assert all(kind is Delete for kind in kinds(actions)[:last])
        if {Create, ResetToken} & set(kinds(actions)):
            assert kinds(actions)[0] is Announce
        assert (Settle in kinds(actions)) == (seen.announced or seen.overdue)


def test_nothing_to_do_means_no_action() -> None:
    for wanted, seen, actions in plans(present=True):
        fine = seen.held is Held.OURS and not seen.others and not seen.doubles and seen.seeded
        assert (actions == []) == (fine and not seen.announced and not seen.overdue)
        if actions == []:
            drifted = replace(wanted, description="another")
            assert kinds(plan(drifted, seen)) == ([Update] if seen.runner else [])


def test_what_another_machine_runs_is_left_alone() -> None:
    for wanted, _seen, actions in plans():
        touched = [action.runner for action in actions if isinstance(action, (Delete, ResetToken))]
        if any(manager.system_id == THERE for each in touched for manager in each.managers or ()):
            assert wanted.takeover
