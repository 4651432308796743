# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision on its own, over every combination of what can be desired and observed: what holds of every plan."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import Credential, Manager, Runner, RunnerScope
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import (
    AuthMethod,
    DesiredRunner,
    Entry,
    EntryStatus,
    ObservedState,
    with_key,
)
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

HERE, THERE = "s_000000000001", "s_0000000000ff"
KEY, URL = "default/pi-01/docker", "https://gitlab.example.com"

Case = tuple[DesiredRunner, ObservedState]


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
    for way, present, takeover, adopting in itertools.product(AuthMethod, *[[True, False]] * 3):
        desired = DesiredRunner(
            host="pi-01",
            name="docker",
            url=URL,
            key=KEY,
            auth_method=way,
            credential="secret",
            scope=RunnerScope("project_type", 42) if way is AuthMethod.API else None,
            description="pi-01 docker",
            attributes={},
            present=present,
            takeover=takeover,
            adopt_existing_entry=adopting,
        )
        runners = [
            (),
            (runner(2),),
            (runner(2), runner(3, contact="2026-01-01T12:00:00Z")),
            (runner(4, on=THERE),),
            (runner(4, on=THERE, online=False),),
            (replace(runner(5), managers=None),),
        ]
        tokens = ["glrt-1"] if way is AuthMethod.API else ["glrt-1", "glrtr-1"]
        for status, found, token, doubled, seeded, announced, overdue in itertools.product(
            EntryStatus, runners if way is AuthMethod.API else [()], tokens, *[[True, False]] * 4
        ):
            if way is not AuthMethod.API and status in (EntryStatus.UNMANAGED, EntryStatus.OTHER_HOST):
                continue  # notes are out of sight
            works = status in (EntryStatus.VALID, EntryStatus.UNMANAGED)
            note = "" if status is EntryStatus.UNMANAGED else with_key("", KEY)
            yield (
                desired,
                ObservedState(
                    system_id=HERE,
                    status=status,
                    entry=None if status is EntryStatus.MISSING and not doubled else Entry(0, "docker", URL, 1, token),
                    duplicate_entries=(double,) if doubled else (),
                    runner=runner(1, note=note) if works and way is AuthMethod.API else None,
                    duplicate_runners=found,
                    verified_credential=Credential(1, token) if works else None,
                    system_id_seeded=seeded,
                    intent_is_ours=announced,
                    intent_expired=overdue,
                ),
            )


def plans(present: bool | None = None) -> Iterator[tuple[DesiredRunner, ObservedState, list[Step]]]:
    for desired, observed in cases():
        if present in (None, desired.present):
            try:
                yield desired, observed, plan(desired, observed)
            except UnsafeChange:
                continue


def kinds(steps: list[Step]) -> list[type]:
    return [type(step) for step in steps]


def test_there_is_a_plan_or_a_sentence_for_everything() -> None:
    assert sum(1 for _ in cases()) == 8 * 16 * (7 * 6 + 5 * 2 + 5 * 2)
    sentences = []
    for desired, observed in cases():
        try:
            plan(desired, observed)
        except UnsafeChange as refusal:
            sentences.append(str(refusal))
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in sentences)


def test_what_the_environment_holds_is_never_touched() -> None:
    for desired, observed in cases():
        if observed.status is EntryStatus.FROM_ENVIRONMENT:
            with pytest.raises(UnsafeChange, match="environment variable of GitLab Runner"):
                plan(desired, observed)


def test_where_managers_are_not_shown_none_is_in_the_way() -> None:
    unknown = [
        steps
        for _desired, observed, steps in plans(present=True)
        if [each.id for each in observed.duplicate_runners] == [5]
    ]
    assert {kind for steps in unknown for kind in kinds(steps)} >= {DeleteRunner, ResetToken}


def test_exactly_one_runner_is_left() -> None:
    for desired, observed, steps in plans(present=True):
        ours = {each.id for each in (*((observed.runner,) if observed.runner else ()), *observed.duplicate_runners)}
        deleted = {step.runner.id for step in steps if isinstance(step, DeleteRunner)}
        assert deleted <= ours
        created = kinds(steps).count(CreateRunner)
        visible = desired.auth_method is AuthMethod.API
        known = 1 if observed.status is EntryStatus.VALID and not visible else 0
        assert len(ours - deleted) + created + known == 1, (desired, observed, steps)


def test_nothing_is_left_after_a_removal_but_what_is_not_ours() -> None:
    for desired, observed, steps in plans(present=False):
        deleted = {step.runner.id for step in steps if isinstance(step, DeleteRunner)}
        mine = {observed.runner.id} if observed.status is EntryStatus.VALID and observed.runner else set()
        assert deleted == mine | {each.id for each in observed.duplicate_runners}
        assert not {CreateRunner, ResetToken, UpdateRunner, WriteEntry, DeclareIntent} & set(kinds(steps))
        gone = next((step.entries for step in steps if isinstance(step, RemoveEntries)), ())
        assert (observed.entry in gone) == (
            observed.entry is not None and observed.status is not EntryStatus.OTHER_INSTANCE
        )
        whole = [step.whole_runner for step in steps if isinstance(step, DeleteByToken)]
        if observed.status is not EntryStatus.VALID or desired.auth_method is AuthMethod.API:
            assert whole == []
        else:  # a runner that no registration token made may be somebody else's
            assert observed.entry
            assert whole == [desired.auth_method is AuthMethod.REGISTRATION and observed.entry.token == "glrtr-1"]


def test_the_file_ends_with_one_entry_and_a_working_token() -> None:
    for _desired, observed, steps in plans(present=True):
        writes = [step for step in steps if isinstance(step, WriteEntry)]
        new_token = {CreateRunner, ResetToken} & set(kinds(steps))
        assert len(writes) == 1 or (
            not new_token
            and not observed.duplicate_entries
            and observed.system_id_seeded
            and observed.verified_credential
        )
        for write in writes:
            assert write.entry == observed.entry
            assert write.duplicates == observed.duplicate_entries
            assert (write.credential is None) == bool(new_token)


def test_the_order_survives_a_kill() -> None:
    """Announced before GitLab is asked; duplicates gone before the file's token works and hides them; cleared last."""
    rank = {
        DeclareIntent: 0,
        DeleteRunner: 1,
        CreateRunner: 2,
        ResetToken: 2,
        WriteEntry: 3,
        UpdateRunner: 4,
        SettleIntents: 5,
    }
    for _desired, observed, steps in plans(present=True):
        ranks = [rank[kind] for kind in kinds(steps)]
        if observed.runner is None:
            assert ranks == sorted(ranks)
        elif DeleteRunner in kinds(steps):
            last = max(index for index, kind in enumerate(kinds(steps)) if kind is DeleteRunner)
            assert all(kind is DeleteRunner for kind in kinds(steps)[:last])
        if {CreateRunner, ResetToken} & set(kinds(steps)):
            assert kinds(steps)[0] is DeclareIntent
        assert (SettleIntents in kinds(steps)) == (observed.intent_is_ours or observed.intent_expired)


def test_nothing_to_do_means_no_action() -> None:
    for desired, observed, steps in plans(present=True):
        fine = (
            observed.status is EntryStatus.VALID
            and not observed.duplicate_runners
            and not observed.duplicate_entries
            and observed.system_id_seeded
        )
        assert (steps == []) == (fine and not observed.intent_is_ours and not observed.intent_expired)
        if steps == []:
            drifted = replace(desired, description="another")
            assert kinds(plan(drifted, observed)) == ([UpdateRunner] if observed.runner else [])


def test_what_another_machine_runs_is_left_alone() -> None:
    for desired, _observed, steps in plans():
        touched = [step.runner for step in steps if isinstance(step, (DeleteRunner, ResetToken))]
        if any(manager.system_id == THERE for each in touched for manager in each.managers or ()):
            assert desired.takeover
