# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_runner_register_secret in real plays: results, check mode, sentences, and no token where it need not be."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.action import gitlab_runner_register_secret as action
from fake_gitlab import tls
from plays.cores import on_every_core, on_one_core
from plays.watched_play import WatchedPlay
from registration_cluster import NAME, NAMESPACE, Clusters, InCluster
from registration_world import World

MODULE = "pifleet.ci.gitlab_runner_register_secret"
KEY = f"default/{NAMESPACE}.k3s/docker"

pytestmark = pytest.mark.slow


class ClusterPlay:
    """Plays for a cluster k3s, whose kubeconfig has a token, a certificate and its key. Secrets are in a vault."""

    def __init__(self, play: WatchedPlay, world: World, clusters: Clusters) -> None:
        self.play, self.world = play, world
        self.place: InCluster = clusters.pi("k3s", "s")
        self.vault = play.directory / "vault"
        self.vault.mkdir()
        certificate = tls.make(play.directory.parent / "tls")
        key = base64.b64encode(Path(certificate.key).read_bytes()).decode()
        user = {
            "token": self.place.cluster.token,
            "client-certificate-data": base64.b64encode(Path(certificate.certificate).read_bytes()).decode(),
            "client-key-data": key,
        }
        self.tokens = {"api_token": world.token, "kubeconfig": self.place.cluster.token, "key": key}
        self._keep("kubeconfig", clusters.server.kubeconfig("k3s", **user))
        self._keep("api_token", world.token)

    def _keep(self, name: str, text: str) -> None:
        path = self.vault / name
        path.touch(mode=0o600)
        path.write_text(text)

    def register(self, *arguments: str, **options: Any) -> dict[str, Any]:
        """What came of one registration, as callbacks are told."""
        return self.register_each([options], *arguments)[0]  # with a difference they are told twice

    def register_each(self, registrations: list[dict[str, Any]], *arguments: str) -> list[dict[str, Any]]:
        """What came of each of several in one play, whatever became of those before."""
        tasks = [{MODULE: self._options(options), "ignore_errors": True} for options in registrations]
        plays = [{"hosts": "all", "tasks": tasks}]
        self.play.run_plays(plays, "--diff", *arguments, hosts=["k3s"], verbosity="-vvvv")
        return self.play.results(MODULE)["k3s"]

    def _options(self, changes: dict[str, Any]) -> dict[str, Any]:
        given = {
            "kubeconfig": str(self.vault / "kubeconfig"),
            "context": "k3s",
            "namespace": NAMESPACE,
            "secret_name": NAME,
            **self.world.options(api_token=f"{{{{ lookup('ansible.builtin.file', '{self.vault}/api_token') }}}}"),
            **changes,
        }
        return {name: value for name, value in given.items() if value is not None}


@on_every_core
def play(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    world: World,
    clusters: Clusters,
    monkeypatch: pytest.MonkeyPatch,
) -> ClusterPlay:
    # A short path, because ansible-core has a socket in its temporary directory from 2.21 on.
    play = WatchedPlay(request.param, tmp_path_factory.mktemp("k"))
    temporary = play.directory / "control-node"
    temporary.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(temporary))
    return ClusterPlay(play, world, clusters)


def test_check_then_do_then_again_then_remove(play: ClusterPlay) -> None:
    cluster, gitlab = play.place.cluster, play.world.gitlab
    foretold = play.register("--check")
    assert (gitlab.journal.writes(), cluster.writes) == ([], [])

    done = play.register()
    assert done["actions"] == foretold["actions"] == ["created", "entry_written"]
    assert (done["changed"], foretold["changed"]) == (True, True)
    assert done["diff"] == foretold["diff"]
    assert done["diff"]["after"]["config.toml"]["token"] == "(another one)"
    assert play.world.with_key(KEY) == [done["runner"]["id"]]
    assert gitlab.runners[1].description == f"{NAMESPACE}.k3s docker"
    values = cluster.values(NAMESPACE, NAME) or {}
    assert values["runner-token"].decode() == gitlab.runners[1].token
    assert values[".runner_system_id"].decode() == done["system_id"]

    gitlab.journal.clear()
    cluster.journal.clear()
    again = play.register()
    assert (again["changed"], again["actions"]) == (False, [])
    assert any("cluster of context k3s is not encrypted" in warning for warning in again["warnings"])
    assert play.world.requests() == ["GET /runners/1", "POST /runners/verify"]
    assert cluster.journal == [("get", "secrets")]

    token = gitlab.runners[1].token
    assert play.register(state="absent")["actions"] == ["deleted", "entry_removed"]
    assert (gitlab.runners, cluster.secrets) == ({}, {})

    assert play.play.module_executions == 0
    assert play.play.leaks({**play.tokens, "runner": token}) == set()
    assert play.play.holders([token]) == set()
    assert play.play.holders(play.tokens.values()) == {"vault/api_token", "vault/kubeconfig"}
    assert {sight.path for sight in play.play.files.present() if sight.path.startswith("control-node")} == set()


@on_one_core
def test_several_runners_in_one_secret(play: ClusterPlay) -> None:
    done = play.register(name=None, runners=[{"name": "docker"}, {"name": "shell"}, {"name": "b", "project_id": 4711}])
    assert "4711" in done["msg"]
    assert done["actions"] == ["created", "entry_written"] * 2
    assert [entry["name"] for entry in play.place.entries] == ["docker", "shell"]
    reads = [request for request in play.place.cluster.journal if request == ("get", "secrets")]
    assert len(reads) == 1


BAD: list[tuple[dict[str, Any], str]] = [
    ({"context": None}, "missing required arguments: context"),
    ({"context": "elsewhere"}, 'has no context "elsewhere"'),
    ({"kubeconfig": "nowhere"}, "nowhere is not a file on the control node"),
    ({"namespace": "CI"}, "k3s: namespace is no name of a namespace"),
    ({"namespace": "a" * 64}, "k3s: namespace is no name of a namespace"),
    ({"secret_name": "a_b"}, "k3s: secret_name is no name of a Secret"),
    ({"secret_name": "a" * 254}, "k3s: secret_name is no name of a Secret"),
    ({"context": "", "kubeconfig": ""}, "k3s: kubeconfig is empty. context is empty."),
    ({"url": "x"}, f'Runner "docker" of {NAMESPACE}.k3s: url is missing'),
    ({"namespace": "nowhere"}, "There is no namespace nowhere in the cluster of context k3s; create it first."),
]


@on_one_core
def test_bad_input_is_one_sentence(play: ClusterPlay) -> None:
    for (options, words), said in zip(BAD, play.register_each([options for options, _words in BAD]), strict=True):
        assert words in said["msg"], options
        assert "Traceback" not in str(said)
    assert play.world.gitlab.journal.writes() == []
    assert play.play.leaks(play.tokens) == set()


def test_a_control_node_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "KUBERNETES_IMPORT_ERROR", "Traceback: no module named kubernetes")
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
    with pytest.raises(AnsibleActionFail, match=r"kubernetes>=31\).* on .*\n?.*on the control node"):
        action.ActionModule.__new__(action.ActionModule).run(task_vars={})
