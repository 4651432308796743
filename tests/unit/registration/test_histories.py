# SPDX-License-Identifier: GPL-3.0-or-later
"""Random histories of a small fleet, over real HTTP: every one of them ends in exactly one runner per wanted runner.

A history is what happens to two Pis in a while: runs that are killed at any request or file operation, that meet
outages of every kind, or into which another operator's run falls; cards and boards that die; people at the web page;
clones; GitLab being late. PIFLEET_HISTORIES says how many (2000) in all SHARDS, which pytest-xdist runs side by side.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import fake_gitlab
import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._config_document import parse
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab_errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._host_file import HostFileError
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration import Contended, Outcome
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration_plan import Refusal
from fake_gitlab import Fault
from fake_gitlab.faults import REPLIES
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from registration_world import Killed, Pi, Run, World

HISTORIES = int(os.environ.get("PIFLEET_HISTORIES", "2000"))
SHARDS = 8
STEPS = 12

EXPECTED = (GitLabError, Refusal, HostFileError, Contended)
"""How a run may fail: with a sentence."""

PI = st.integers(0, 1)
NAME = st.sampled_from(["docker", "docker-socket"])
MOMENT = st.tuples(st.integers(0, 12), st.sampled_from(["before", "after"]))
TAGS = st.sampled_from([["arm64", "rpi"], ["rpi"], ["rpi", "docker-build"]])
FAULT = st.builds(
    Fault,
    method=st.sampled_from(["*", "GET", "POST", "PUT", "DELETE"]),
    path=st.sampled_from(["*", "*", "/user/runners", "/runners/*", "/runners/verify", "/projects/*"]),
    reply=st.sampled_from([None, *REPLIES]),
    after=st.booleans(),
    nth=st.integers(1, 6),
    times=st.sampled_from([1, 2, None]),
)


class History(RuleBasedStateMachine):
    server: ClassVar[fake_gitlab.server.Server]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.server.gitlab, self.server.url)
        self.pis = [Pi("pi-01", "s_000000000001"), Pi("pi-02", "s_000000000002")]
        self.boards = 2
        self.wanted: set[tuple[int, str]] = set()
        self.made_by_hand: set[int] = set()
        """Runners with our key that a person made: seen only by a run that has to look by key."""
        self.strangers: dict[int, tuple[Any, ...]] = {}

    # What a run does

    @rule(pi=PI, name=NAME, tags=TAGS, takeover=st.booleans())
    def run(self, pi: int, name: str, tags: list[str], takeover: bool) -> None:
        self.disturbed(pi, name, Run(), tag_list=tags, takeover=takeover)

    @rule(pi=PI, name=NAME, moment=MOMENT)
    def killed_run(self, pi: int, name: str, moment: tuple[int, str]) -> None:
        self.disturbed(pi, name, Run({moment: _kill}))

    @rule(pi=PI, name=NAME, fault=FAULT)
    def run_in_an_outage(self, pi: int, name: str, fault: Fault) -> None:
        self.world.gitlab.faults.add(fault if fault.reply else replace(fault, cut=True))
        try:
            self.disturbed(pi, name, Run())
        finally:
            self.world.gitlab.faults.clear()

    @rule(pi=PI, name=NAME)
    def run_on_a_full_disk(self, pi: int, name: str) -> None:
        self.disturbed(pi, name, Run(), full=True)

    @rule(pi=PI, name=NAME)
    def run_while_gitlab_is_late(self, pi: int, name: str) -> None:
        self.disturbed(pi, name, Run(), late=True)

    @rule(
        pi=PI, name=NAME, moment=MOMENT, killed=st.none() | MOMENT, other_killed=st.none() | MOMENT, late=st.booleans()
    )
    def two_operators(
        self,
        pi: int,
        name: str,
        moment: tuple[int, str],
        killed: tuple[int, str] | None,
        other_killed: tuple[int, str] | None,
        late: bool,
    ) -> None:
        """A second operator's run falls into the first; either may be killed, and GitLab may be late for the first."""

        def second() -> None:
            self.disturbed(pi, name, Run({other_killed: _kill} if other_killed else {}))

        strikes = {moment: second, **({killed: _kill} if killed and killed != moment else {})}
        self.disturbed(pi, name, Run(strikes), late=late)

    @rule(pi=PI, name=NAME, moment=MOMENT, what=st.sampled_from(["delete", "reset", "edit", "reflash"]))
    def run_while_people_meddle(self, pi: int, name: str, moment: tuple[int, str], what: str) -> None:
        def meddle() -> None:
            if what == "reflash":
                self.world.arrive()
                self.pis[pi].reflash()
            else:
                self.web(what, self.world.with_key(self.key(pi, name)))

        self.disturbed(pi, name, Run({moment: meddle}), meddled=True)

    @rule(pi=PI, name=NAME, moment=st.none() | MOMENT)
    def removal(self, pi: int, name: str, moment: tuple[int, str] | None) -> None:
        self.disturbed(pi, name, Run({moment: _kill} if moment else {}), state="absent")

    # What happens otherwise

    @rule(pi=PI)
    def card_dies(self, pi: int) -> None:
        self.world.arrive()  # writing a new card takes longer than GitLab spends on a request
        self.pis[pi].reflash()

    @rule(pi=PI)
    def board_dies(self, pi: int) -> None:
        self.world.arrive()
        self.boards += 1
        self.pis[pi].reflash(f"s_{self.boards:012d}")

    @rule(whole=st.booleans())
    def card_is_cloned(self, whole: bool) -> None:
        self.world.arrive()
        first, second = self.pis
        second.content, second.seeded = first.content, first.seeded and whole
        if whole:
            second.system_id = first.system_id

    @rule(what=st.sampled_from(["delete", "reset", "edit", "forget", "append", "again"]), data=st.data())
    @precondition(lambda self: self.world.gitlab.runners)
    def web_page(self, what: str, data: st.DataObject) -> None:
        self.web(what, [data.draw(st.sampled_from(sorted(self.world.gitlab.runners)))])

    @rule(pi=PI, name=NAME)
    def process_runs(self, pi: int, name: str) -> None:
        """GitLab Runner on the Pi asks for jobs with what stands in its file."""
        for entry in self.pis[pi].named(name):
            runner = self.world.gitlab.runner_by_token(entry.get("token", ""))
            if runner:
                self.world.heartbeat(runner.id, self.pis[pi].system_id)

    @rule(pi=PI, name=NAME)
    def process_rotates_its_token(self, pi: int, name: str) -> None:
        for entry in self.pis[pi].named(name):
            runner = self.world.gitlab.runner_by_token(entry.get("token", ""))
            if runner and runner.id not in self.strangers:
                old, new = entry["token"], self.world.gitlab.reset_runner_token(runner.id)
                self.pis[pi].content = (self.pis[pi].content or "").replace(old, new)

    @rule(pi=PI, name=NAME, doubled=st.booleans())
    def registered_by_hand(self, pi: int, name: str, doubled: bool) -> None:
        """`gitlab-runner register` with a token of its own, or with that of the entry, appends an entry."""
        present = [entry for entry in self.pis[pi].named(name) if entry.get("token")]
        if doubled and present:
            number, token = present[0]["id"], present[0]["token"]
        else:
            runner = self.world.gitlab.create_runner("project_type", owner=self.world.project, description="by hand")
            number, token = runner.id, runner.token
        self.append(pi, name, number, token)

    @rule(pi=PI)
    def strangers_runner(self, pi: int) -> None:
        """Another team's runner with the very description of ours, and its entry on the same Pi."""
        runner = self.world.gitlab.create_runner(
            "project_type", owner=self.world.project, description=f"{self.pis[pi].name} docker", maintenance_note="mine"
        )
        self.strangers[runner.id] = _portrait(runner)
        self.append(pi, f"stranger {runner.id}", runner.id, runner.token)

    @rule(minutes=st.sampled_from([1, 4, 6, 130]))
    def time_passes(self, minutes: int) -> None:
        self.world.arrive()  # GitLab's own limit for a request is a minute
        self.world.gitlab.clock.advance(60 * minutes)

    @rule()
    def late_creations_happen(self) -> None:
        self.world.arrive()

    # What must hold

    def disturbed(self, pi: int, name: str, run: Run, *, meddled: bool = False, **changes: Any) -> None:
        """One run and, depending on how it ends, what must hold then."""
        host = self.pis[pi]
        held = self.held(pi, name)
        before = len(self.world.gitlab.journal)
        self.wanted.add((pi, name))
        try:
            outcome = self.world.register(host, run=run, name=name, **changes)
        except Killed:
            pass
        except EXPECTED as error:
            self.no_secret(str(error))
            if held and not meddled and not run.strikes and changes.get("state") != "absent":
                assert self.held(pi, name), "a failed run lost a working token"
        else:
            listed = any("/projects/" in entry.path for entry in list(self.world.gitlab.journal)[before:])
            if not meddled:
                self.succeeded(pi, name, outcome, listed, changes)
        self.nothing_foreign_changed()

    def succeeded(self, pi: int, name: str, outcome: Outcome, listed: bool, changes: dict[str, Any]) -> None:
        host, key = self.pis[pi], self.key(pi, name)
        ours = self.world.with_key(key)
        if changes.get("state") == "absent":
            assert ours == []
            assert host.named(name) == []
            return
        (entry,) = host.named(name)
        runner = self.world.gitlab.runner_by_token(entry["token"])
        assert runner is not None, "the file's token does not work"
        assert runner.id == entry["id"]
        assert runner.id in ours
        assert set(ours) - {runner.id} <= (set() if listed else self.made_by_hand)
        assert set(runner.tag_list) == set(changes.get("tag_list", ["arm64", "rpi"]))
        assert (entry["url"], entry["name"]) == (self.world.url, name)
        assert outcome.first[0].system_id == host.system_id

    def nothing_foreign_changed(self) -> None:
        for number, portrait in list(self.strangers.items()):
            assert _portrait(self.world.gitlab.runners[number]) == portrait
        for host in self.pis:
            parse(host.content or "")

    def no_secret(self, text: str) -> None:
        for runner in self.world.gitlab.runners.values():
            assert runner.token not in text
        assert self.world.token not in text

    def teardown(self) -> None:
        """In the end GitLab works, time has passed, and one undisturbed run each, twice, makes it right for good."""
        self.world.arrive()
        self.world.gitlab.clock.advance(600)
        self.made_by_hand &= set(self.world.gitlab.runners)
        for pi, name in sorted(self.wanted):
            outcome = self.world.register(self.pis[pi], name=name, takeover=True)
            self.succeeded(pi, name, outcome, listed=False, changes={})
            content = self.pis[pi].content
            self.world.gitlab.journal.clear()
            assert self.world.register(self.pis[pi], name=name).actions == []
            assert self.pis[pi].content == content
            assert [line.split(" ")[0] for line in self.world.requests()] == ["GET", "POST"]
            assert self.world.gitlab.journal.writes() == []
        self.nothing_foreign_changed()

    # Small things

    def key(self, pi: int, name: str) -> str:
        return f"default/{self.pis[pi].name}/{name}"

    def held(self, pi: int, name: str) -> bool:
        """Whether the file holds a working token of a runner with our key."""
        ours = set(self.world.with_key(self.key(pi, name)))
        runners = [self.world.gitlab.runner_by_token(entry.get("token", "")) for entry in self.pis[pi].named(name)]
        return any(runner is not None and runner.id in ours for runner in runners)

    def append(self, pi: int, name: str, number: int, token: str) -> None:
        text = self.pis[pi].content or ""
        url = self.world.url
        self.pis[
            pi
        ].content = f'{text}\n[[runners]]\nname = "{name}"\nurl = "{url}"\nid = {number}\ntoken = "{token}"\n'

    def web(self, what: str, numbers: list[int]) -> None:
        """A person changes runners in the web page; other people's are left to them."""
        gitlab = self.world.gitlab
        for number in numbers:
            runner = gitlab.runners.get(number)
            if runner is None or number in self.strangers:
                continue
            if what == "delete":
                gitlab.delete_runner(number)
            elif what == "reset":
                gitlab.reset_runner_token(number)
            elif what == "edit":
                gitlab.edit_runner(number, tag_list=["odd"], description="renamed", paused=not runner.paused)
            elif what == "forget":
                gitlab.edit_runner(number, maintenance_note="")
            elif what == "append":
                gitlab.edit_runner(number, maintenance_note=f"{runner.maintenance_note or ''}\r\nseen by Bob")
            elif what == "again":
                self.made_by_hand.add(gitlab.duplicate_runner(number).id)


def _kill() -> None:
    raise Killed


def _portrait(runner: Any) -> tuple[Any, ...]:
    return runner.token, runner.description, runner.maintenance_note, tuple(runner.tag_list), runner.paused


@pytest.fixture(scope="module")
def histories() -> Iterator[type[History]]:
    with fake_gitlab.serving(fake_gitlab.FakeGitLab()) as server:
        History.server = server
        yield History


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_history_ends_in_exactly_one_runner(histories: type[History], shard: int) -> None:
    run_state_machine_as_test(
        seed(shard)(histories),
        settings=settings(
            max_examples=max(1, HISTORIES // SHARDS),
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )
