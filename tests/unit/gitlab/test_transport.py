# SPDX-License-Identifier: GPL-3.0-or-later
"""One exchange over HTTP: what is sent, to whom, and what the control node's environment may change about it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fake_gitlab
import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.errors import GitLabError
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.options import connect
from ansible_collections.pifleet.ci.plugins.plugin_utils._gitlab.transport import GRAPHQL, Transport, Unreached
from fake_gitlab.tls import TLSFiles

API_TOKEN = "glpat-transport-test"


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire; `target` is the path, or the whole URL where a proxy was asked."""

    method: str
    target: str
    headers: Message
    body: bytes


@dataclass
class Recorder:
    """A web server that answers every request alike and remembers it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    body: bytes = b"{}"
    received: list[Received] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def serving(self, tls: TLSFiles | None = None) -> Iterator[Recorder]:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                recorder.received.append(Received(self.command, self.path, self.headers, body))
                self.send_response(recorder.status)
                for name, value in {"Content-Length": str(len(recorder.body)), **recorder.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(recorder.body)

            do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = answer

            def log_message(self, *_args: object) -> None:
                """Nothing on stderr."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine on which the tests run: neither its proxies nor its authorities nor its passwords."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def server() -> Iterator[Recorder]:
    with Recorder().serving() as recorder:
        yield recorder


def transport(url: str, api_token: str | None = API_TOKEN, verify: bool | str = True) -> Transport:
    return Transport(url, api_token, verify=verify, timeout=5)


def test_a_request_of_the_user(server: Recorder) -> None:
    answer = transport(server.url).request(
        "get", "/runners/all", as_runner=False, query={"type": "group_type", "page": 2}
    )
    assert (answer.status, answer.body, answer.is_json) == (200, {}, True)
    [received] = server.received
    assert (received.method, received.target, received.body) == (
        "GET",
        "/api/v4/runners/all?type=group_type&page=2",
        b"",
    )
    assert received.headers["PRIVATE-TOKEN"] == API_TOKEN
    assert received.headers["User-Agent"] == "pifleet.ci"
    assert received.headers["Authorization"] is None


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_a_body_is_json(server: Recorder, method: str) -> None:
    body = {"token": "é", "run_untagged": False, "tag_list": ["a", "b"], "note": None}
    transport(server.url).request(method, "/runners", as_runner=True, body=body)
    [received] = server.received
    assert received.method == method.upper()
    assert received.headers["Content-Type"] == "application/json"
    assert json.loads(received.body) == body


def test_an_empty_body_is_a_body(server: Recorder) -> None:
    transport(server.url).request("post", "/runners/1/reset_authentication_token", as_runner=False, body={})
    assert server.received[0].body == b"{}"


def test_the_runner_api_is_not_told_the_api_token(server: Recorder) -> None:
    client = transport(server.url)
    client.request("get", "/version", as_runner=False)
    client.request("post", "/runners/verify", as_runner=True, body={"token": "glrt-x"})
    transport(server.url, None).request("get", "/version", as_runner=False)
    assert [received.headers["PRIVATE-TOKEN"] for received in server.received] == [API_TOKEN, None, None]


def test_graphql_stands_beside_the_rest_api(server: Recorder) -> None:
    transport(f"{server.url}/gitlab").request("post", GRAPHQL, as_runner=False, body={"query": "{}"})
    assert server.received[0].target == "/gitlab/api/graphql"


def test_netrc_is_not_read(server: Recorder, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    for as_runner in (False, True):
        transport(server.url).request("get", "/version", as_runner=as_runner)
    assert [received.headers["Authorization"] for received in server.received] == [None, None]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_redirect_is_followed(server: Recorder, status: int, method: str) -> None:
    location = f"{server.url}/elsewhere?token=secret"
    with Recorder(status, {"Location": location.replace("//", "//user:secret@")}).serving() as redirecting:
        with pytest.raises(Unreached, match=f"redirects to {server.url};") as caught:
            transport(redirecting.url).request(method, "/user/runners", as_runner=False)
        assert len(redirecting.received) == 1
    assert server.received == []
    assert (caught.value.perhaps_done, caught.value.permanent) == (False, True)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("location", ["/users/sign_in", "//login.example.com/", "https://[broken", "/caf\xe9", ""])
def test_a_redirect_to_no_address_is_one(location: str) -> None:
    with (
        Recorder(302, {"Location": location}).serving() as redirecting,
        pytest.raises(Unreached, match="redirects to another address"),
    ):
        transport(redirecting.url).request("get", "/version", as_runner=False)


def test_a_body_that_is_shorter_than_announced() -> None:
    """Of a body that was cut off nothing is believed, even where what came is JSON."""
    cut = Recorder(201, {"Content-Type": "application/json", "Content-Length": "100", "Connection": "close"}, b"{}")
    with cut.serving(), pytest.raises(Unreached, match="cut before the answer was complete") as caught:
        transport(cut.url).request("post", "/user/runners", as_runner=False, body={})
    assert caught.value.perhaps_done
    assert not caught.value.permanent


def test_an_answer_that_is_not_http_may_have_been_carried_out() -> None:
    odd = Recorder(201, {"Content-Type": "application/json", "Content-Length": "2, 3", "Connection": "close"}, b"{}")
    with odd.serving(), pytest.raises(Unreached) as caught:
        transport(odd.url).request("post", "/user/runners", as_runner=False, body={})
    assert caught.value.perhaps_done


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_what_the_task_says_about_certificates_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    ours, theirs = fake_gitlab.tls.make(tmp_path / "ours"), fake_gitlab.tls.make(tmp_path / "theirs")
    assert ours.ca
    assert theirs.ca
    with Recorder().serving(ours) as recorder:
        monkeypatch.setenv(variable, theirs.ca)
        for verify in (ours.ca, False):
            transport(recorder.url, verify=verify).request("get", "/version", as_runner=False)
        monkeypatch.setenv(variable, ours.ca)
        with pytest.raises(Unreached, match="not signed by an authority"):
            transport(recorder.url, verify=theirs.ca).request("get", "/version", as_runner=False)
        assert len(recorder.received) == 2
        # where the task says nothing, the environment does
        transport(recorder.url).request("get", "/version", as_runner=False)
    assert len(recorder.received) == 3


def test_a_proxy_of_the_environment(server: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    transport("http://gitlab.invalid").request("get", "/version", as_runner=False)
    transport(server.url).request("get", "/version", as_runner=False)
    assert [received.target for received in server.received] == [
        "http://gitlab.invalid/api/v4/version",
        "/api/v4/version",
    ]


def test_a_proxy_that_refuses_has_not_seen_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with Recorder(403).serving() as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(Unreached, match="the proxy of this control node") as caught:
            transport("https://gitlab.invalid").request("post", "/user/runners", as_runner=False, body={})
        [received] = proxy.received
    assert (received.method, received.target) == ("CONNECT", "gitlab.invalid:443")
    assert received.headers["PRIVATE-TOKEN"] is None
    assert not caught.value.perhaps_done


@pytest.mark.parametrize("proxy", ["gopher://127.0.0.1:1", "http://"])
def test_a_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(Unreached, match="a proxy in the environment") as caught:
        transport("http://gitlab.invalid").request("post", "/user/runners", as_runner=False, body={})
    assert (caught.value.perhaps_done, caught.value.permanent) == (False, True)


def test_nobody_is_asked_twice() -> None:
    """A connection that was cut says nothing about what was done; only the caller may ask again."""
    connections = 0

    def serve(listener: socket.socket) -> None:
        nonlocal connections
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections += 1
            connection.recv(65536)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unreached) as caught:
            transport(url).request("post", "/user/runners", as_runner=False, body={})
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert (connections, caught.value.perhaps_done) == (1, True)


@pytest.mark.parametrize("token", [f"{API_TOKEN}\n", f" {API_TOKEN}", f"“{API_TOKEN}”"])
def test_a_token_that_no_header_can_hold(server: Recorder, token: str) -> None:
    """http.client would quote it in its ValueError."""
    with pytest.raises(GitLabError, match="api_token holds blanks or other characters") as caught:
        connect({"url": server.url, "api_token": token, "ca_path": None, "validate_certs": True, "timeout": 5.0})
    assert API_TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["gitlab.example.com", "ftp://gitlab.example.com", "https://", "https://[broken", "https://x:99999"]
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(GitLabError, match="url is missing or not an http"):
        connect({"url": url, "api_token": "x", "ca_path": None, "validate_certs": True, "timeout": 5.0})


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_timeout_that_is_none(server: Recorder, seconds: float) -> None:
    with pytest.raises(GitLabError, match=r"timeout is .* s; give more than 0"):
        connect({"url": server.url, "api_token": "x", "ca_path": None, "validate_certs": True, "timeout": seconds})


def test_a_host_name_that_cannot_be_one() -> None:
    with pytest.raises(Unreached, match="the url") as caught:
        transport(f"https://{'a' * 70}.example.com").request("post", "/user/runners", as_runner=False, body={})
    assert (caught.value.perhaps_done, caught.value.permanent) == (False, True)
