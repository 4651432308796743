# SPDX-License-Identifier: GPL-3.0-or-later
"""The session with an API server: whose it is, and one sentence for each way in which it fails."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fake_kubernetes
import pytest
from ansible_collections.pifleet.ci.plugins.plugin_utils._kubernetes.cluster import Refused, connected
from ansible_collections.pifleet.ci.plugins.plugin_utils._remote_file import HostFileError
from fake_gitlab import tls
from starlette.responses import JSONResponse, PlainTextResponse, Response

TIMEOUT = 5.0


@pytest.fixture
def server() -> Iterator[fake_kubernetes.Server]:
    with fake_kubernetes.serving() as server:
        server.clusters |= {"home": fake_kubernetes.Cluster(), "office": fake_kubernetes.Cluster()}
        yield server


@pytest.fixture
def kubeconfig(server: fake_kubernetes.Server, tmp_path: Path) -> str:
    return write(tmp_path, server.kubeconfig())


def write(directory: Path, text: str) -> str:
    path = directory / "kubeconfig"
    path.write_text(text)
    return str(path)


def failure(kubeconfig: str, context: str = "home") -> str:
    with pytest.raises(HostFileError) as caught, connected(kubeconfig, context, TIMEOUT) as cluster:
        cluster.read_secret("ci", "runner")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_context_that_is_named_counts_not_the_current_one(server: fake_kubernetes.Server, tmp_path: Path) -> None:
    server.clusters["office"].put("ci", "runner", {"a": b"office"})
    text = json.dumps({**json.loads(server.kubeconfig()), "current-context": "home"})
    with connected(write(tmp_path, text), "office", TIMEOUT) as cluster:
        assert cluster.warnings == [
            "The connection with the cluster of context office is not encrypted: whoever is in between reads the "
            "tokens. Use https."
        ]
        assert cluster.read_secret("ci", "runner")["data"] == {"a": base64.b64encode(b"office").decode()}
    assert server.clusters["home"].journal == []


def test_a_context_that_is_not_there(kubeconfig: str) -> None:
    assert 'has no context "elsewhere"' in failure(kubeconfig, "elsewhere")


@pytest.mark.parametrize("text", ["", "{", "[]", "kind: Config\n", "\0"])
def test_no_kubeconfig(tmp_path: Path, text: str) -> None:
    assert "kubeconfig" in failure(write(tmp_path, text))
    assert "is not a file on the control node" in failure(str(tmp_path / "nowhere"))


def test_a_program_for_credentials_that_fails(server: fake_kubernetes.Server, tmp_path: Path) -> None:
    found = json.loads(server.kubeconfig("home"))
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}
    found["users"][0]["user"] = {"exec": program}
    assert "Does kubectl work with it?" in failure(write(tmp_path, json.dumps(found)))


def test_credentials_that_are_not_accepted(server: fake_kubernetes.Server, tmp_path: Path) -> None:
    said = failure(write(tmp_path, server.kubeconfig("home", token="hush-hush")))
    assert "does not accept the credentials of the kubeconfig (401)" in said
    assert "hush-hush" not in said


def test_an_api_server_that_is_not_there(tmp_path: Path) -> None:
    found = fake_kubernetes.Server("http://127.0.0.1:9", None, {"home": fake_kubernetes.Cluster()})
    assert "cannot be reached" in failure(write(tmp_path, found.kubeconfig()))


@pytest.mark.parametrize(
    ("instead", "words"),
    [
        ("cut", "cut the connection before its answer was complete"),
        (PlainTextResponse("Welcome"), "is no API server: its answer is not a JSON object"),
        (PlainTextResponse("no", 404), "is no API server: it says 404 in its own words"),
        (PlainTextResponse("no", 502), "or a proxy before it, is not working (502)"),
        (PlainTextResponse("Too many requests, please try again.", 429), "too many requests at the moment (429)"),
        (JSONResponse({"message": "no"}, 403), "is no API server: it says 403 in its own words"),
        (Response(status_code=302, headers={"Location": "http://127.0.0.1:9/"}), "is no API server: it says 302"),
    ],
)
def test_what_is_no_answer_of_an_api_server(
    server: fake_kubernetes.Server, kubeconfig: str, instead: Response | str, words: str
) -> None:
    server.instead = instead
    assert words in failure(kubeconfig)


def test_a_refusal_is_left_to_who_asked(kubeconfig: str) -> None:
    with connected(kubeconfig, "home", TIMEOUT) as cluster, pytest.raises(Refused) as caught:
        cluster.create_secret("ci", {"metadata": {"name": "runner"}})
    assert (caught.value.status.code, caught.value.status.reason) == (404, "NotFound")
    assert caught.value.status.message == 'namespaces "ci" not found'


def test_a_refusal_shows_no_value_of_a_secret(server: fake_kubernetes.Server, kubeconfig: str) -> None:
    """The API server quotes a Secret that it cannot decode any more, with all its values in base64."""
    token = "glrt-AbCdEfGhIjKlMnOpQrSt"
    server.clusters["home"].create_namespace("ci")
    server.clusters["home"].put("ci", "runner", {"runner-token": token.encode()})
    with connected(kubeconfig, "home", TIMEOUT) as cluster, pytest.raises(Refused) as caught:
        cluster.patch_secret("ci", "runner", {"data": {"broken": "?"}})
    said = caught.value.status.message
    assert "illegal base64 data" in said
    assert base64.b64encode(token.encode()).decode() not in said
    assert token not in said


def test_an_authority_and_a_key_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client writes a key into a file, which is gone afterwards, as often as it is needed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    os.mkdir(tmp_path / "tmp")
    files = tls.make(tmp_path / "tls")
    with fake_kubernetes.serving(files) as server:
        server.clusters["home"] = cluster = fake_kubernetes.Cluster()
        cluster.put("ci", "runner", {"a": b"b"})
        own = {
            "token": cluster.token,
            "client-certificate-data": base64.b64encode(Path(files.certificate).read_bytes()).decode(),
            "client-key-data": base64.b64encode(Path(files.key).read_bytes()).decode(),
        }
        kubeconfig = write(tmp_path, server.kubeconfig("home", **own))
        for _time in range(2):
            with connected(kubeconfig, "home", TIMEOUT) as session:
                assert list((tmp_path / "tmp").rglob("*"))
                assert session.read_secret("ci", "runner")["metadata"]["name"] == "runner"
                assert session.warnings == []
            assert list((tmp_path / "tmp").rglob("*")) == []
        settings = json.loads(server.kubeconfig("home"))
        settings["clusters"][0]["cluster"] |= {"insecure-skip-tls-verify": True}
        del settings["clusters"][0]["cluster"]["certificate-authority"]
        with connected(write(tmp_path, json.dumps(settings)), "home", TIMEOUT) as session:
            assert session.read_secret("ci", "runner")["metadata"]["name"] == "runner"
            assert "is not checked (insecure-skip-tls-verify)" in session.warnings[0]
        server.ca_path = None
        assert "cannot be trusted" in failure(write(tmp_path, server.kubeconfig("home")))
