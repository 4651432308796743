# SPDX-License-Identifier: GPL-3.0-or-later
"""The GitLab client against a server that misbehaves: what it says, what it repeats, what it never shows."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import fake_gitlab
import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab import GitLab
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab_errors import GitLabError, OutcomeUnknown, Postponed
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab_transport import Transport
from ansible_collections.pifleet.ci.plugins.plugin_utils._registration_model import Place
from fake_gitlab import FakeGitLab, Fault, Role
from fake_gitlab.exchange import Reply
from fake_gitlab.server import Server
from registration_world import PROJECT, World

PROJECT_PLACE = Place("project_type", PROJECT)
SYSTEM = "s_000000000001"


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def gitlab(world: World, pauses: list[float]) -> GitLab:
    return client(world.url, world.token, pauses)


def client(url: str, token: str | None, pauses: list[float], verify: bool | str = True, timeout: float = 5) -> GitLab:
    return GitLab(Transport(url, token, verify=verify, timeout=timeout), sleep=pauses.append)


def runner(world: World, **attributes: object) -> fake_gitlab.runners.Runner:
    return world.gitlab.create_runner("project_type", owner=world.project, **attributes)


def test_only_gitlabs_own_404_means_gone(world: World, gitlab: GitLab) -> None:
    assert gitlab.runner(1) is None
    runner(world)
    for lie in (
        "not_found_page",
        Reply(404, {"message": "no Route matched with those values"}),
        Reply(404, {"error": "404 Not Found"}),
    ):
        world.gitlab.faults.add(Fault(reply=lie))
        with pytest.raises(GitLabError):
            gitlab.runner(1)
    assert gitlab.runner(1) is not None


def test_only_gitlabs_own_403_refuses_a_token(world: World, gitlab: GitLab) -> None:
    made = runner(world)
    assert gitlab.verify("glrt-unknown", SYSTEM) is None
    for lie in ("proxy_forbidden", Reply(403, {"message": "Forbidden"}), Reply(403, {"error": "forbidden"})):
        world.gitlab.faults.add(Fault(reply=lie))
        with pytest.raises(GitLabError):
            gitlab.verify(made.token, SYSTEM)
    assert gitlab.verify(made.token, SYSTEM) is not None


def test_verify_says_neither_a_version_nor_the_api_token(world: World, gitlab: GitLab) -> None:
    made = runner(world)
    gitlab.verify(made.token, SYSTEM)
    assert world.gitlab.journal[0].params == ("system_id", "token")
    assert world.gitlab.journal[0].user is None
    assert made.managers[SYSTEM].version is None


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("captive_portal", "a proxy, a login page or another server answers instead"),
        ("empty", "answers instead"),
        ("truncated_json", "answers instead"),
        ("proxy_forbidden", "403 with something that is not JSON"),
        ("bad_gateway", "it is not working (502)"),
        ("unauthorized", "GitLab does not accept the API token"),
        (Reply(200, ["surprise"]), "JSON, but not GitLab's"),
        (Reply(401, {"error": "invalid_token", "error_description": "Token was revoked."}), "does not accept the API"),
        (
            Reply(302, "", {"Location": "https://login.example.com/sso?next=secret"}),
            "redirects to https://login.example",
        ),
    ],
)
def test_sentences(world: World, gitlab: GitLab, reply: Reply | str, words: str) -> None:
    world.gitlab.faults.add(Fault(reply=reply, times=None))
    with pytest.raises(GitLabError) as caught:
        gitlab.runner(1)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"Could not read runner 1 at {world.url}: ")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("scopes", "act", "scope"),
    [
        (["manage_runner", "read_api"], lambda gitlab: gitlab.create(PROJECT_PLACE, {}), "create_runner"),
        (["create_runner", "read_api"], lambda gitlab: gitlab.reset_token(1), "manage_runner"),
        (["create_runner", "read_api"], lambda gitlab: gitlab.update(1, {"paused": True}), "manage_runner"),
        (["create_runner", "read_api"], lambda gitlab: gitlab.delete(1), "manage_runner"),
        (["create_runner"], lambda gitlab: gitlab.runner(1), "manage_runner"),
        (["create_runner", "manage_runner"], lambda gitlab: gitlab.runners_with_key(PROJECT_PLACE, "k"), "read_api"),
    ],
)
def test_the_missing_scope_is_named(
    world: World, pauses: list[float], scopes: list[str], act: Callable[[GitLab], object], scope: str
) -> None:
    runner(world)
    alice = next(iter(world.gitlab.users.values()))
    gitlab = client(world.url, world.gitlab.add_token(alice, scopes), pauses)
    with pytest.raises(GitLabError, match=f"lacks the scope {scope} "):
        act(gitlab)
    assert pauses == []


def test_least_privilege_is_enough(world: World, pauses: list[float]) -> None:
    alice = next(iter(world.gitlab.users.values()))
    gitlab = client(world.url, world.gitlab.add_token(alice, ["create_runner", "manage_runner"]), pauses)
    made = gitlab.create(PROJECT_PLACE, {"description": "x"})
    gitlab.verify(made.token, SYSTEM)
    gitlab.update(made.id, {"paused": True})
    assert gitlab.reset_token(made.id).token != made.token
    gitlab.delete(made.id)
    gitlab.delete(made.id)


@pytest.mark.parametrize(("kind", "admin"), [("instance_type", True), ("group_type", False), ("project_type", False)])
def test_every_kind_of_runner_is_found_in_its_place(world: World, pauses: list[float], kind: str, admin: bool) -> None:
    bob = world.gitlab.add_user("bob", admin=admin)
    group = world.gitlab.add_group("team", members={bob: Role.OWNER}, group_id=7)
    project = world.gitlab.add_project("team/pis", group=group, project_id=8)
    gitlab = client(world.url, world.gitlab.add_token(bob), pauses)
    owner = {"instance_type": None, "group_type": group, "project_type": project}[kind]
    place = Place(kind, owner.id if owner else None)
    made = gitlab.create(place, {"maintenance_note": "x\npifleet.ci: k"})
    (found,) = gitlab.runners_with_key(place, "k")
    assert (found.id, found.runner_type) == (made.id, kind)
    assert found.owners == (frozenset({owner.id}) if owner else frozenset())


@pytest.mark.parametrize("reply", [None, "server_error", "bad_gateway", "unavailable", "too_many_requests"])
def test_reading_is_repeated_a_few_times(world: World, gitlab: GitLab, pauses: list[float], reply: str | None) -> None:
    runner(world)
    world.gitlab.faults.add(Fault(reply=reply, cut=reply is None, times=2))
    assert gitlab.runner(1) is not None
    assert pauses == [1.0, 2.0]
    world.gitlab.faults.add(Fault(reply=reply, cut=reply is None, times=None))
    with pytest.raises(GitLabError):
        gitlab.runner(1)
    assert len(world.gitlab.journal) == 3 + 3


def test_retry_after_is_obeyed_within_reason(world: World, gitlab: GitLab, pauses: list[float]) -> None:
    runner(world)
    busy = {"message": {"error": "This endpoint has been requested too many times. Try again later."}}
    world.gitlab.faults.add(Fault(reply=Reply(429, busy, {"Retry-After": "60"})))
    assert gitlab.runner(1) is not None
    assert pauses == [60.0]
    world.gitlab.faults.add(Fault(reply=Reply(429, busy, {"Retry-After": "3600"}), times=None))
    with pytest.raises(GitLabError, match="it asks to wait 3600 s, which is more than this run waits"):
        gitlab.runner(1)
    assert pauses == [60.0]


@pytest.mark.parametrize("act", [lambda gitlab: gitlab.create(PROJECT_PLACE, {}), lambda gitlab: gitlab.reset_token(1)])
@pytest.mark.parametrize("fault", [{"cut": True}, {"reply": "bad_gateway"}, {"reply": "captive_portal"}])
def test_what_may_not_be_repeated_is_not(
    world: World, gitlab: GitLab, act: Callable[[GitLab], object], fault: dict[str, object]
) -> None:
    runner(world)
    world.gitlab.faults.add(Fault("POST", after=True, times=None, **fault))
    with pytest.raises(OutcomeUnknown):
        act(gitlab)
    assert len(world.gitlab.journal) == 1


def test_a_creation_that_was_rate_limited_waits_and_is_left_to_the_caller(
    world: World, gitlab: GitLab, pauses: list[float]
) -> None:
    world.gitlab.faults.add(Fault(reply="too_many_requests"))
    with pytest.raises(Postponed, match=r"too many requests \(429\)"):
        gitlab.create(PROJECT_PLACE, {})
    assert (len(world.gitlab.journal), pauses) == (1, [1.0])


def test_nobody_listens(pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    gitlab = client(url, "glpat-x", pauses)
    with pytest.raises(GitLabError, match="the connection was refused") as caught:
        gitlab.create(PROJECT_PLACE, {})
    assert not isinstance(caught.value, OutcomeUnknown)
    assert pauses == [1.0, 2.0]


def test_no_answer_in_time(world: World, pauses: list[float]) -> None:
    world.gitlab.faults.add(Fault(delay=0.4, times=None))
    gitlab = client(world.url, world.token, pauses, timeout=0.1)
    with pytest.raises(GitLabError, match="did not answer in time"):
        gitlab.runner(1)


def test_a_private_authority(tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    fake = FakeGitLab()
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    other = fake_gitlab.tls.make(theirs)
    with fake_gitlab.serving(fake, fake_gitlab.tls.make(ours)) as server:
        token = fake.add_token(fake.add_user("root", admin=True))
        good: Server = server
        assert client(good.url, token, pauses, verify=good.ca_path or False).runner(1) is None
        for verify in (True, other.ca):
            with pytest.raises(GitLabError, match="ca_path names the file"):
                client(good.url, token, pauses, verify=verify).runner(1)
        assert client(good.url, token, pauses, verify=False).runner(1) is None
        with pytest.raises(GitLabError):
            client(good.url.replace("https", "http"), token, pauses).runner(1)
    assert len(fake.journal) == 2


def test_no_token_is_ever_in_a_sentence(world: World, gitlab: GitLab) -> None:
    made = runner(world)
    echo = Reply(400, {"message": f"cannot use {made.token} here"})
    world.gitlab.faults.add(Fault(reply=echo, times=None))
    with pytest.raises(GitLabError) as caught:
        gitlab.verify(made.token, SYSTEM)
    assert made.token not in str(caught.value)
    assert made.token not in repr(caught.value)
