# SPDX-License-Identifier: GPL-3.0-or-later
"""Random histories of a small fleet, over real HTTP: every one of them ends in exactly one runner per wanted runner.

A history is what happens to two Pis in a while: runs that are killed at any request or file operation, that meet
outages of every kind, or into which another operator's run falls; cards and boards that die; people at the web page;
clones; GitLab being late; tokens that expire. GitLab is of one of the supported versions, the runners are those of the
instance, a group or a project. In a third of the histories the Pis are namespaces of clusters. One half of the
histories knows the API token only, in the other each run takes one of the three ways in.

tests/sizes.py says how many in all SHARDS, which pytest-xdist runs side by side.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import fake_gitlab
import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import parse
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.apply import ConcurrentChanges, Outcome
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.model import AuthMethod
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration.plan import UnsafeChange
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFileError
from fake_gitlab import Fault
from fake_gitlab.faults import REPLIES
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from registration_world import LISTS, PLACES, VERSIONS, Breakdown, Killed, MakePi, Pi, Run, World
from sizes import HISTORIES, dice

SHARDS = 8
SHRINK = "PIFLEET_SHRINK" in os.environ
STEPS = 25

EXPECTED = (GitLabError, UnsafeChange, HostFileError, ConcurrentChanges)
"""How a run may fail: with a sentence."""

PI = st.integers(0, 1)
NAME = st.sampled_from(["docker", "docker-socket"])
WAY = st.sampled_from(AuthMethod)
MOMENT = st.tuples(st.integers(0, 12), st.sampled_from(["before", "after"]))
TAGS = st.sampled_from([["arm64", "rpi"], ["rpi"], ["rpi", "docker-build"]])
FAULT = st.builds(
    Fault,
    method=st.sampled_from(["*", "GET", "POST", "PUT", "DELETE"]),
    path=st.sampled_from(["*", "*", "/user/runners", "/runners/*", "/runners/verify", "/projects/*", "/graphql"]),
    reply=st.sampled_from([None, *REPLIES]),
    after=st.booleans(),
    nth=st.integers(1, 6),
    times=st.sampled_from([1, 2, None]),
)


class History(RuleBasedStateMachine):
    servers: ClassVar[dict[str, fake_gitlab.server.Server]]
    """The same GitLab without TLS, and with a certificate of an authority that nobody knows."""
    namespaces: ClassVar[MakePi]

    def __init__(self) -> None:
        super().__init__()
        self.begin("project_type", VERSIONS[-1], graphql=True, mixed=False, lifetime=None, secrets=False)

    @initialize(
        kind=st.sampled_from(sorted(PLACES)),
        version=st.sampled_from(VERSIONS),
        graphql=st.sampled_from([True, True, False]),
        mixed=st.booleans(),
        lifetime=st.sampled_from([None, None, 3 * 3600]),
        secrets=st.sampled_from([False, False, True]),
    )
    def begin(self, kind: str, version: str, graphql: bool, mixed: bool, lifetime: float | None, secrets: bool) -> None:
        """`lifetime`: seconds after which tokens expire. `secrets`: the Pis are namespaces with a Secret."""
        server = self.servers["http"]
        make_pi: MakePi = self.namespaces if secrets else Pi
        self.world = World(server.gitlab, server.url, kind, version=version, make_pi=make_pi)
        self.world.gitlab.settings.token_lifetime = lifetime
        self.world.gitlab.settings.graphql = graphql
        self.mixed = mixed
        self.pis = [make_pi("pi-01", "s_000000000001"), make_pi("pi-02", "s_000000000002")]
        self.boards = 2
        self.wanted: set[tuple[int, str]] = set()
        self.given: dict[tuple[int, str], str] = {}
        """The ready-made tokens that people put into the inventory."""
        self.unseen: set[int] = set()
        """Runners with our key that only a run which looks by key can find: a person made them, or a run without an API
        token left them."""
        self.strangers: dict[int, tuple[Any, ...]] = {}

    # What a run does

    @rule(pi=PI, name=NAME, way=WAY, tags=TAGS, takeover=st.booleans())
    def run(self, pi: int, name: str, way: AuthMethod, tags: list[str], takeover: bool) -> None:
        self.disturbed(pi, name, way, Run(), takeover=takeover, tags=tags)

    @rule(pi=PI, name=NAME, way=WAY, moment=MOMENT)
    def killed_run(self, pi: int, name: str, way: AuthMethod, moment: tuple[int, str]) -> None:
        self.disturbed(pi, name, way, Run({moment: _kill}))

    @rule(pi=PI, name=NAME, way=WAY, fault=FAULT)
    def run_in_an_outage(self, pi: int, name: str, way: AuthMethod, fault: Fault) -> None:
        self.world.gitlab.faults.add(fault if fault.reply else replace(fault, cut=True))
        try:
            # GitLab's own words are believed, whoever says them: docs/registration.md, "Known limitations"
            self.disturbed(pi, name, way, Run(), told_lies=fault.reply is REPLIES["forbidden"])
        finally:
            self.world.gitlab.faults.clear()

    @rule(pi=PI, name=NAME, way=WAY, nth=st.integers(1, 6), where=st.sampled_from(["nowhere", "plain", "https", None]))
    def run_while_the_network_breaks_down(
        self, pi: int, name: str, way: AuthMethod, nth: int, where: str | None
    ) -> None:
        """Connection refused, no TLS at the other end, a certificate nobody knows, no answer in time."""
        urls = {
            "nowhere": "http://127.0.0.1:9",
            "plain": self.world.url.replace("http:", "https:"),
            "https": self.servers["https"].url,
        }
        self.disturbed(pi, name, way, Run(), breakdown=Breakdown(nth, urls[where] if where else None))

    @rule(pi=PI, name=NAME, way=WAY)
    def run_on_a_full_disk(self, pi: int, name: str, way: AuthMethod) -> None:
        self.disturbed(pi, name, way, Run(), full=True)

    @rule(pi=PI, name=NAME, way=WAY)
    def run_while_gitlab_is_late(self, pi: int, name: str, way: AuthMethod) -> None:
        self.disturbed(pi, name, way, Run(), late=True)

    @rule(
        pi=PI,
        name=NAME,
        ways=st.tuples(WAY, WAY),
        moment=MOMENT,
        killed=st.none() | MOMENT,
        other_killed=st.none() | MOMENT,
        late=st.booleans(),
    )
    def two_operators(
        self,
        pi: int,
        name: str,
        ways: tuple[AuthMethod, AuthMethod],
        moment: tuple[int, str],
        killed: tuple[int, str] | None,
        other_killed: tuple[int, str] | None,
        late: bool,
    ) -> None:
        """A second operator's run falls into the first; either may be killed, and GitLab may be late for the first."""

        def second() -> None:
            self.disturbed(pi, name, ways[1], Run({other_killed: _kill} if other_killed else {}))

        strikes = {moment: second, **({killed: _kill} if killed and killed != moment else {})}
        # operators who declare different ways in undo each other's work; the next run has to cope
        self.disturbed(pi, name, ways[0], Run(strikes), late=late, meddled=self.mixed and ways[0] is not ways[1])

    @rule(pi=PI, name=NAME, ways=st.tuples(WAY, WAY), moment=MOMENT)
    def run_that_stands_still(
        self, pi: int, name: str, ways: tuple[AuthMethod, AuthMethod], moment: tuple[int, str]
    ) -> None:
        """A laptop sleeps in the middle of a play, longer than an intent counts, and another operator does the work."""

        def sleep() -> None:
            self.world.arrive()  # GitLab's own limit for a request is a minute
            self.world.gitlab.clock.advance(6 * 60)
            self.disturbed(pi, name, ways[1], Run())

        self.disturbed(pi, name, ways[0], Run({moment: sleep}), meddled=self.mixed and ways[0] is not ways[1])

    @rule(pi=PI, name=NAME, way=WAY, moment=MOMENT, what=st.sampled_from(["delete", "reset", "edit", "reflash"]))
    def run_while_people_meddle(self, pi: int, name: str, way: AuthMethod, moment: tuple[int, str], what: str) -> None:
        def meddle() -> None:
            if what == "reflash":
                self.world.arrive()
                self.pis[pi].reflash()
            else:
                self.web(what, self.world.with_key(self.key(pi, name)))

        self.disturbed(pi, name, way, Run({moment: meddle}), meddled=True)

    @rule(pi=PI, name=NAME, way=WAY, moment=st.none() | MOMENT)
    def removal(self, pi: int, name: str, way: AuthMethod, moment: tuple[int, str] | None) -> None:
        self.disturbed(pi, name, way, Run({moment: _kill} if moment else {}), state="absent")

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
    def ready_made_token_is_replaced(self, pi: int, name: str) -> None:
        self.given[pi, name] = self.world.by_hand(description="ready-made").token

    @rule(allowed=st.booleans())
    def registration_tokens_are_switched(self, allowed: bool) -> None:
        self.world.gitlab.settings.allow_registration_tokens = allowed

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
            runner = self.world.by_hand(description="by hand")
            number, token = runner.id, runner.token
        self.append(pi, name, number, token)

    @rule(pi=PI)
    def strangers_runner(self, pi: int) -> None:
        """Another team's runner with the very description of ours, and its entry on the same Pi."""
        runner = self.world.by_hand(description=f"{self.pis[pi].name} docker", maintenance_note="mine")
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

    def disturbed(
        self,
        pi: int,
        name: str,
        way: AuthMethod,
        run: Run,
        *,
        meddled: bool = False,
        told_lies: bool = False,
        tags: list[str] | None = None,
        **how: Any,
    ) -> None:
        """One run and, depending on how it ends, what must hold then."""
        way = way if self.mixed else AuthMethod.API
        host, gitlab, absent = self.pis[pi], self.world.gitlab, how.get("state") == "absent"
        if way is AuthMethod.RUNNER and (pi, name) not in self.given:
            self.ready_made_token_is_replaced(pi, name)
        if tags and way is not AuthMethod.RUNNER:
            how["tag_list"] = tags
        self.wanted.add((pi, name))
        held, before, requests = self.held(pi, name), set(gitlab.runners), len(gitlab.journal)
        unmarked = {
            runner.id for runner in gitlab.runners.values() if "pifleet.ci:" not in (runner.maintenance_note or "")
        }
        if way is not AuthMethod.API:  # here as well: what falls into this run finds the runners that it did not see
            self.unseen |= set(self.world.with_key(self.key(pi, name)))
        outcome = None
        try:
            outcome = self.world.register(
                host, run=run, name=name, way=way, token=self.given.get((pi, name), ""), **how
            )
        except Killed:
            pass
        except EXPECTED as error:
            self.no_secret(str(error))
            if not meddled and not run.strikes and not absent and not told_lies:
                assert held <= self.held(pi, name), "a failed run lost a working token"
        made = set(gitlab.runners) - before
        if not run.strikes:
            assert (
                len(made)
                <= {AuthMethod.API: 1, AuthMethod.REGISTRATION: not held or told_lies, AuthMethod.RUNNER: 0}[way]
            )
            assert way is AuthMethod.API or not unmarked - set(gitlab.runners), "a runner of others was deleted"
            assert way is not AuthMethod.RUNNER or before == set(gitlab.runners)
        if way is not AuthMethod.API:
            self.unseen |= set(self.world.with_key(self.key(pi, name)))
        if outcome and not meddled:
            lists = (LISTS[self.world.kind], "/graphql")
            listed = any(entry.path in lists for entry in list(gitlab.journal)[requests:])
            self.succeeded(pi, name, way, outcome, listed, absent, tags)
        self.nothing_foreign_changed()

    def succeeded(
        self, pi: int, name: str, way: AuthMethod, outcome: Outcome, listed: bool, absent: bool, tags: list[str] | None
    ) -> None:
        host, ours = self.pis[pi], self.world.with_key(self.key(pi, name))
        if absent:
            assert host.named(name) == []
            assert way is not AuthMethod.API or ours == []
            return
        (entry,) = host.named(name)
        runner = self.world.gitlab.runner_by_token(entry["token"])
        assert runner is not None, "the file's token does not work"
        assert runner.id == entry["id"]
        assert (entry["url"], entry["name"]) == (self.world.url, name)
        assert outcome.observed.system_id == host.system_id
        if way is AuthMethod.API:
            assert runner.id in ours
            assert set(ours) - {runner.id} <= (set() if listed else self.unseen)
        if way is AuthMethod.API or (way is AuthMethod.REGISTRATION and "created" in outcome.actions):
            assert set(runner.tag_list) == set(tags or ["arm64", "rpi"])

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
        self.world.gitlab.settings.allow_registration_tokens = True
        self.unseen &= set(self.world.gitlab.runners)
        for pi, name in sorted(self.wanted):
            if self.mixed:
                self.settled(pi, name, AuthMethod.REGISTRATION)
            self.settled(pi, name, AuthMethod.API)
        self.nothing_foreign_changed()

    def settled(self, pi: int, name: str, way: AuthMethod) -> None:
        outcome = self.world.register(self.pis[pi], name=name, way=way, takeover=True)
        self.succeeded(pi, name, way, outcome, listed=False, absent=False, tags=None)
        content = self.pis[pi].content
        self.world.gitlab.journal.clear()
        assert self.world.register(self.pis[pi], name=name, way=way).actions == []
        assert self.pis[pi].content == content
        assert [line.split(" ")[0] for line in self.world.requests()] == ["GET", "POST"][way is not AuthMethod.API :]
        assert self.world.gitlab.journal.writes() == []
        if way is not AuthMethod.API:
            self.unseen |= set(self.world.with_key(self.key(pi, name)))

    # Small things

    def key(self, pi: int, name: str) -> str:
        return f"default/{self.pis[pi].name}/{name}"

    def held(self, pi: int, name: str) -> set[int]:
        """The runners whose working tokens stand in the file's entries of that name."""
        runners = [self.world.gitlab.runner_by_token(entry.get("token", "")) for entry in self.pis[pi].named(name)]
        return {runner.id for runner in runners if runner is not None}

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
                self.unseen.add(gitlab.duplicate_runner(number).id)


def _kill() -> None:
    raise Killed


def _portrait(runner: Any) -> tuple[Any, ...]:
    return runner.token, runner.description, runner.maintenance_note, tuple(runner.tag_list), runner.paused


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory, namespaces: MakePi) -> Iterator[type[History]]:
    gitlab = fake_gitlab.FakeGitLab()
    unknown = fake_gitlab.tls.make(tmp_path_factory.mktemp("tls"))
    with fake_gitlab.serving(gitlab) as plain, fake_gitlab.serving(gitlab, unknown) as secure:
        History.namespaces = staticmethod(namespaces)
        History.servers = {"http": plain, "https": secure}
        yield History


@pytest.mark.slow
@pytest.mark.timeout(120 + 3 * HISTORIES // SHARDS)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_history_ends_in_exactly_one_runner(histories: type[History], shard: int) -> None:
    run_state_machine_as_test(
        seed(dice(f"histories {shard}").getrandbits(64))(histories),
        settings=settings(
            max_examples=max(1, HISTORIES // SHARDS),
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink) if SHRINK else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )
