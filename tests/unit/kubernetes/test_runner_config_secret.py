# SPDX-License-Identifier: GPL-3.0-or-later
"""runner_config_secret: settings into the config.toml of a Secret, in the cluster of a fake."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase
from ansible_collections.pifleet.ci.plugins.action import runner_config_secret as action
from ansible_collections.pifleet.ci.plugins.modules import runner_config_secret as stub
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.merge import parse
from ansible_collections.pifleet.ci.plugins.plugin_utils._config.reload import restart_checksum
from documentation import documented_aspects
from registration_cluster import NAME, NAMESPACE, Clusters, InCluster
from registration_fixtures import clusters, home, server, world
from registration_world import World

__all__ = ["clusters", "home", "server", "world"]

TEXT = '[[runners]]\nname = "one"\nurl = "https://gitlab.example.com"\nid = 1\ntoken = "glrt-hushhushhush1234"\n'
Configure = Callable[..., dict[str, Any]]


@pytest.fixture
def place(clusters: Clusters) -> InCluster:
    place = clusters.pi("k3s", "uid-of-the-cluster")
    place.content, place.seeded = TEXT, True
    place.cluster.journal.clear()
    return place


@pytest.fixture
def configure(clusters: Clusters, place: InCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(clusters.server.kubeconfig("k3s"))

    def run(check_mode: bool = False, **options: Any) -> dict[str, Any]:
        defaults = {name: option.get("default") for name, option in action.ARGUMENT_SPEC.items()}
        where = {"kubeconfig": str(kubeconfig), "context": "k3s", "namespace": NAMESPACE, "secret_name": NAME}
        given = {**defaults, **where, **options}
        monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {})
        plugin = object.__new__(action.ActionModule)
        plugin.__dict__.update(_task=SimpleNamespace(check_mode=check_mode), _loader=DataLoader())
        monkeypatch.setattr(plugin, "validate_argument_spec", lambda argument_spec: (None, given), raising=False)
        found: dict[str, Any] = plugin.run(task_vars={"inventory_hostname": "k3s"})
        found["warnings"] = [text for text in found.get("warnings", []) if "not encrypted" not in text]
        return found

    return run


def test_check_then_do_then_again(configure: Configure, place: InCluster) -> None:
    wanted = {"global": {"concurrent": 4}, "runners": [{"name": "one", "executor": "kubernetes"}]}
    foretold = configure(check_mode=True, **wanted)
    assert (foretold["changed"], place.cluster.writes, place.content) == (True, [], TEXT)
    done = configure(**wanted)
    assert done == foretold
    assert done["takes_effect"] == "automatically"
    assert parse(place.content or "")["runners"][0]["executor"] == "kubernetes"
    assert "hushhush" not in str(done["diff"])
    place.cluster.journal.clear()
    again = configure(**wanted)
    assert (again["changed"], again["takes_effect"], "diff" in again) == (False, "unchanged", False)
    assert place.cluster.journal == [("get", "secrets")]


def test_what_registration_keeps_stays(configure: Configure, place: InCluster) -> None:
    system_id = place.system_id
    configure(**{"global": {"concurrent": 2}})
    values = place.cluster.values(NAMESPACE, NAME) or {}
    assert values["runner-token"] == b"glrt-hushhushhush1234"
    assert place.system_id == system_id
    assert parse(place.content or "")["runners"][0]["token"] == "glrt-hushhushhush1234"


def test_an_entry_that_is_not_registered(configure: Configure, place: InCluster) -> None:
    with pytest.raises(AnsibleActionFail, match=rf"^k3s: Secret {NAMESPACE}/{NAME}: there is no .* named 'two'"):
        configure(runners=[{"name": "two", "limit": 1}])
    assert configure(check_mode=True, runners=[{"name": "two", "limit": 1}])["changed"] is True
    assert place.cluster.writes == []


def test_a_write_of_somebody_else_is_not_lost(
    configure: Configure, place: InCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare-and-swap: another token came between our reading and our writing."""
    read, turns = action.Secret.read, iter([True])

    def disturbed(secret: Any) -> Any:
        seen = read(secret)
        if next(turns, False):
            place.content = TEXT.replace("hush1234", "hush5678")
        return seen

    monkeypatch.setattr(action.Secret, "read", disturbed)
    assert configure(runners=[{"name": "one", "limit": 3}])["changed"] is True
    entry = parse(place.content or "")["runners"][0]
    assert (entry["token"], entry["limit"]) == ("glrt-hushhushhush5678", 3)


def test_a_purged_entry_takes_its_runner_along(configure: Configure, place: InCluster, world: World) -> None:
    ours, other = (
        world.by_hand(maintenance_note=f"pifleet.ci: default/{key}") for key in (f"{NAMESPACE}.k3s/two", "pi-01/two")
    )
    place.content = TEXT + "".join(
        f'[[runners]]\nname = "{name}"\nurl = "{world.url}"\nid = {runner.id}\ntoken = "{runner.token}"\n'
        for name, runner in (("two", ours), ("three", other))
    )
    options = {"runners": [{"name": "one"}], "purge": True, "url": world.url, "api_token": world.token}
    foretold = configure(check_mode=True, **options)
    assert set(world.gitlab.runners) == {ours.id, other.id}
    done = configure(**options)
    assert done == foretold
    assert done["deleted_runners"] == [ours.id]
    assert len(done["warnings"]) == 1
    assert done["warnings"][0].endswith("it is that of default/pi-01/two.")
    assert [entry["name"] for entry in place.entries] == ["one"]
    assert set(world.gitlab.runners) == {other.id}


def test_what_is_left_without_an_entry_goes(configure: Configure, place: InCluster) -> None:
    for content in (TEXT, "concurrent = 4\n"):
        place.content = content
        foretold = configure(check_mode=True, state="absent")
        assert place.content == content
        assert configure(state="absent") == foretold
        assert foretold["changed"] is (content != TEXT)
    assert place.content is None
    assert configure(state="absent")["changed"] is False

    place.cluster.put(NAMESPACE, NAME, {"config.toml": b"concurrent = 4\n", "other": b"x"})
    assert configure(state="absent")["changed"] is True
    assert place.cluster.values(NAMESPACE, NAME) == {"other": b"x"}


def test_what_is_wrong_is_one_sentence(configure: Configure, place: InCluster) -> None:
    for options, words in (
        ({"api_token": "glpat-x"}, "api_token is given without url"),
        ({"namespace": "CI"}, "k3s: namespace is no name of a namespace"),
        ({"global": {"concurent": 1}}, "the nearest is concurrent"),
        ({"context": "elsewhere"}, 'k3s: .* has no context "elsewhere"'),
    ):
        with pytest.raises(AnsibleActionFail, match=words):
            configure(**options)
    place.cluster.forbidden = {("patch", "secrets")}
    with pytest.raises(AnsibleActionFail, match="k3s: The user of the kubeconfig may not patch Secret"):
        configure(**{"global": {"concurrent": 9}})


def test_only_what_is_read_at_the_start_has_a_part_in_the_checksum() -> None:
    base = {"concurrent": 1, "runners": [{"name": "one", "token": "x"}]}
    session = {**base, "session_server": {"listen_address": ":8093"}}
    verified = {**base, "runners": [{"name": "one", "experimental": {"boot_verify": {"enabled": True}}}]}
    changed = {"concurrent": 2, "runners": [{"name": "one", "token": "y", "limit": 1}, {"name": "two"}]}
    assert restart_checksum(base) == restart_checksum(changed) == restart_checksum({"runners": []})
    assert len({restart_checksum(base), restart_checksum(session), restart_checksum(verified)}) == 3


def test_the_checksum_of_the_whole(configure: Configure, place: InCluster) -> None:
    """It tells any change, and nothing where no token keeps the rest from being guessed."""
    wanted = {"runners": [{"name": "one", "environment": ["PASSWORD=a"]}]}
    first = configure(**wanted)["checksum"]
    assert first == hashlib.sha256((place.content or "").encode()).hexdigest()
    assert configure(**wanted)["checksum"] == first
    foretold = configure(check_mode=True, runners=[{"name": "one", "environment": ["PASSWORD=b"]}])["checksum"]
    assert foretold not in ("", first)
    unregistered = [{"name": "new", "executor": "kubernetes"}]
    assert configure(check_mode=True, runners=unregistered)["checksum"] == ""


def test_the_stub_documents_the_arguments_of_the_action() -> None:
    assert documented_aspects(stub) == {
        name: {key: value for key, value in argument.items() if key != "no_log"}
        for name, argument in action.ARGUMENT_SPEC.items()
    }
