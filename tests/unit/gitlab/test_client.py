# SPDX-License-Identifier: GPL-3.0-or-later
"""The GitLab client against a server that misbehaves: what it says, what it repeats, what it never shows."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import fake_gitlab
import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.client import (
    GitLab,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import (
    GitLabError,
    OutcomeUnknown,
    RateLimited,
    RunnerNotFound,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.model import RunnerScope
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import (
    connect,
    connection_warnings,
)
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import (
    Transport,
)
from fake_gitlab import FakeGitLab, Fault, Reply, Role
from fake_gitlab.server import Server
from registration_world import PROJECT, VERSIONS, World

PROJECT_SCOPE = RunnerScope("project_type", PROJECT)
SYSTEM = "s_000000000001"


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def gitlab(world: World, pauses: list[float]) -> GitLab:
    return client(world.url, world.token, pauses)


def client(url: str, token: str | None, pauses: list[float], verify: bool | str = True, timeout: float = 5) -> GitLab:
    return GitLab(Transport(url, token, verify=verify, timeout=timeout), sleep=pauses.append, jitter=lambda: 0.0)


def runner(world: World, **attributes: object) -> fake_gitlab.runners.Runner:
    return world.gitlab.create_runner("project_type", owner=world.project, **attributes)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_runner_that_is_gone_is_gone_in_the_words_of_every_version(world: World, version: str) -> None:
    world.gitlab.settings.version = version
    gitlab = client(world.url, world.gitlab.add_token(world.gitlab.users[1], ["api"]), [])
    assert gitlab.runner(1) is None
    gitlab.delete(1)
    for act in (gitlab.reset_token, lambda number: gitlab.update(number, {"paused": True})):
        with pytest.raises(RunnerNotFound):
            act(1)


def test_only_gitlabs_own_404_means_gone(world: World, gitlab: GitLab) -> None:
    runner(world)
    for lie in (
        "not_found_page",
        Reply(404, {"message": "no Route matched with those values"}),
        Reply(404, {"error": "404 Not Found"}),
        Reply(404, {"message": "404 Not Found"}),
        Reply(404, {"message": "404 Project Not Found"}),
    ):
        world.gitlab.faults.add(Fault(reply=lie))
        with pytest.raises(GitLabError):
            gitlab.runner(1)
    assert gitlab.runner(1) is not None


def test_managers_that_this_version_does_not_show_are_unknown(world: World, pauses: list[float]) -> None:
    runner(world)
    world.gitlab.settings.version = VERSIONS[0]
    gitlab = client(world.url, world.gitlab.add_token(world.gitlab.users[1], ["api"]), pauses)
    assert gitlab.managers(1) is None
    world.gitlab.settings.version = VERSIONS[1]
    assert gitlab.managers(1) == ()
    with pytest.raises(RunnerNotFound):
        gitlab.managers(2)


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
        (["manage_runner", "read_api"], lambda gitlab: gitlab.create(PROJECT_SCOPE, {}), "create_runner"),
        (["create_runner", "read_api"], lambda gitlab: gitlab.reset_token(1), "manage_runner"),
        (["create_runner", "read_api"], lambda gitlab: gitlab.update(1, {"paused": True}), "manage_runner"),
        (["create_runner", "read_api"], lambda gitlab: gitlab.delete(1), "manage_runner"),
        (["create_runner"], lambda gitlab: gitlab.runner(1), "manage_runner"),
        (
            ["create_runner", "manage_runner"],
            lambda gitlab: gitlab.list_runners(PROJECT_SCOPE),
            "read_api",
        ),
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
    world.gitlab.settings.version = VERSIONS[-1]
    alice = next(iter(world.gitlab.users.values()))
    gitlab = client(world.url, world.gitlab.add_token(alice, ["create_runner", "manage_runner"]), pauses)
    made = gitlab.create(PROJECT_SCOPE, {"description": "x"})
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
    place = RunnerScope(kind, owner.id if owner else None)
    note = "x\npifleet.ci: k"
    made = gitlab.create(place, {"maintenance_note": note})
    assert [(each.id, each.note) for each in gitlab.list_runners(place)] == [(made.id, note)]
    found = gitlab.runner(made.id)
    assert found is not None
    assert found.runner_type == kind
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


def test_pauses_are_spread(world: World) -> None:
    """Forks that were refused together do not come back together."""
    pauses: list[float] = []
    chances = iter([0.0, 1.0])
    gitlab = GitLab(
        Transport(world.url, world.token, verify=True, timeout=5), sleep=pauses.append, jitter=lambda: next(chances)
    )
    runner(world)
    world.gitlab.faults.add(Fault(reply="unavailable", times=2))
    gitlab.runner(1)
    assert pauses == [1.0, 2.5]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(world: World, gitlab: GitLab, pauses: list[float], status: int, form: str) -> None:
    runner(world)
    world.gitlab.clock.stop()
    until = format_datetime(world.gitlab.clock.now() + timedelta(seconds=40), usegmt=True)
    words = {"seconds": "40", "date": until}[form]
    world.gitlab.faults.add(Fault(reply=Reply(status, {"message": "later"}, {"Retry-After": words})))
    assert gitlab.runner(1) is not None
    assert pauses == [pytest.approx(40, abs=1)]


@pytest.mark.parametrize("words", ["\u00b2", "soon", "-5", "Thu, 01 Jan 99999999999 00:00:00 GMT"])
def test_a_retry_after_that_is_none(world: World, gitlab: GitLab, pauses: list[float], words: str) -> None:
    runner(world)
    world.gitlab.faults.add(Fault(reply=Reply(429, {"message": "later"}, {"Retry-After": words})))
    assert gitlab.runner(1) is not None
    assert pauses == [1.0]


def test_a_lock_is_waited_for(world: World, gitlab: GitLab, pauses: list[float]) -> None:
    runner(world)
    world.gitlab.faults.add(Fault(reply="resource_lock", times=2))
    assert gitlab.update(1, {"paused": True}).attributes["paused"] is True
    assert pauses == [1.0, 2.0]
    world.gitlab.faults.add(Fault(reply="resource_lock"))
    with pytest.raises(RateLimited, match=r"\(409\)"):
        gitlab.create(PROJECT_SCOPE, {})


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


@pytest.mark.parametrize("act", [lambda gitlab: gitlab.create(PROJECT_SCOPE, {}), lambda gitlab: gitlab.reset_token(1)])
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
    with pytest.raises(RateLimited, match=r"too many requests \(429\)"):
        gitlab.create(PROJECT_SCOPE, {})
    assert (len(world.gitlab.journal), pauses) == (1, [1.0])


def test_nobody_listens(pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    gitlab = client(url, "glpat-x", pauses)
    with pytest.raises(GitLabError, match="the connection was refused") as caught:
        gitlab.create(PROJECT_SCOPE, {})
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


def test_a_reply_that_breaks_off_inside_tls_may_have_been_carried_out(tmp_path: Path, pauses: list[float]) -> None:
    """Only a handshake that failed proves that nothing was sent."""
    authority = fake_gitlab.tls.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(65536)
            # what follows on the wire is no TLS record
            os.write(tls.fileno(), b"HTTP/1.1 201 Created\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(OutcomeUnknown):
            client(url, "glpat-x", pauses, verify=authority.ca).create(PROJECT_SCOPE, {})
        thread.join(5)
    assert pauses == []


@pytest.mark.parametrize(
    ("content", "words"), [("", "in PEM form"), ("not a certificate", "in PEM form"), (None, "is not a")]
)
def test_an_authority_that_is_none(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    options = {"url": "https://gitlab.example.com", "api_token": "x", "validate_certs": True, "timeout": 5.0}
    with pytest.raises(GitLabError, match=words) as caught:
        connect({**options, "ca_path": str(path)})
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("url", "validate", "words"),
    [
        ("http://gitlab.example.com", True, ["is not encrypted"]),
        ("https://gitlab.example.com", False, ["is not checked"]),
        ("https://gitlab.example.com", True, []),
    ],
)
def test_what_is_dangerous_is_said(url: str, validate: bool, words: list[str]) -> None:
    said = connection_warnings({"url": url, "validate_certs": validate})
    assert len(said) == len(words)
    for sentence, word in zip(said, words, strict=True):
        assert word in sentence
        assert url in sentence


def test_no_token_is_ever_in_a_sentence(world: World, gitlab: GitLab) -> None:
    made = runner(world)
    echo = Reply(400, {"message": f"cannot use {made.token} here"})
    world.gitlab.faults.add(Fault(reply=echo, times=None))
    with pytest.raises(GitLabError) as caught:
        gitlab.verify(made.token, SYSTEM)
    assert made.token not in str(caught.value)
    assert made.token not in repr(caught.value)
