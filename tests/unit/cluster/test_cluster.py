# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the cluster of the tests needs neither root nor a build."""

from __future__ import annotations

import gzip
import io
import ipaddress
import json
import tarfile
import tomllib
from pathlib import Path

import pytest
from cluster import program, tools
from cluster.access import ADMIN, USERS, kubeconfig, token_file
from cluster.cgroups import hierarchies, own_paths
from cluster.choice import Named, Own, Tool, choose
from cluster.components import commands, files
from cluster.images import program_layer
from cluster.made import require_at_hand
from cluster.network import PODS, SERVICES, free_network
from cluster.place import Place
from cluster.tools import COMMANDS, gateway
from images.assembled import docker_archive, of_layer
from lab.host import LabError

MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs ro,size=4096k
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 /docker /elsewhere rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
35 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
"""


def nothing(_program: str) -> None:
    """A machine without kind and k3d."""


def test_the_named_cluster_comes_first(tmp_path: Path) -> None:
    kubeconfig_file = tmp_path / "config"
    kubeconfig_file.touch()
    environment = {"PIFLEET_KUBECONFIG": str(kubeconfig_file), "PIFLEET_KUBE_CONTEXT": "home"}
    assert choose(environment, lambda program: program) == Named(kubeconfig_file, "home")


@pytest.mark.parametrize("given", ["PIFLEET_KUBECONFIG", "PIFLEET_KUBE_CONTEXT"])
def test_half_a_name_is_refused(given: str) -> None:
    with pytest.raises(LabError, match=f"{given} is set but .* is not"):
        choose({given: "/etc/hosts"}, nothing)


def test_a_kubeconfig_that_is_not_there_is_refused() -> None:
    with pytest.raises(LabError, match="PIFLEET_KUBECONFIG is /nowhere, which is not a file"):
        choose({"PIFLEET_KUBECONFIG": "/nowhere", "PIFLEET_KUBE_CONTEXT": "home"}, nothing)


def test_the_current_context_is_never_taken() -> None:
    assert choose({"KUBECONFIG": "/root/.kube/config"}, nothing) == Own()


@pytest.mark.parametrize("tool", ["kind", "k3d"])
def test_kind_or_k3d_before_a_build(tool: str) -> None:
    assert choose({}, lambda program: program if program == tool else None) == Tool(tool)


@pytest.mark.parametrize("tool", ["kind", "k3d"])
def test_the_image_of_the_nodes_says_which_kubernetes(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = choose({"PIFLEET_KUBE_NODE_IMAGE": "node:1"}, lambda program: program if program == tool else None)
    assert chosen == Tool(tool, "node:1")
    commands: list[list[str]] = []
    monkeypatch.setattr("cluster.tools._run", commands.append)
    monkeypatch.setattr("cluster.tools.write_archives", lambda _folder, pause: [])
    monkeypatch.setattr("cluster.tools.docker", lambda *_words: '[{"IPAM": {"Config": [{"Gateway": "172.18.0.1"}]}}]')
    for wanted, options in ((chosen, ["--image", "node:1"]), (Tool(tool), [])):
        commands.clear()
        assert tools.start(wanted, Place("a", tmp_path)) == "172.18.0.1"
        assert [word for word in commands[0] if word in ("--image", "node:1")] == options


def test_the_tools_leave_the_users_kubeconfig_alone() -> None:
    kubeconfig_file = Path("/a/kubeconfig")
    assert COMMANDS["kind"].create("a", kubeconfig_file, [])[0][-4:-2] == ["--kubeconfig", str(kubeconfig_file)]
    assert "--kubeconfig-update-default=false" in COMMANDS["k3d"].create("a", kubeconfig_file, [])[0]


def test_a_gateway_is_the_first_of_ipv4() -> None:
    networks = [{"IPAM": {"Config": [{"Gateway": "fc00::1"}, {"Subnet": "x"}, {"Gateway": "172.18.0.1/16"}]}}]
    assert gateway(networks) == "172.18.0.1"
    with pytest.raises(LabError, match="no IPv4 gateway"):
        gateway(networks[:0])


def test_each_hierarchy_once() -> None:
    found = {hierarchy.options: str(hierarchy.path) for hierarchy in hierarchies(MOUNTS)}
    assert found == {
        "cpu,cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "name=systemd": "/sys/fs/cgroup/systemd",
        "": "/sys/fs/cgroup/unified",
    }
    assert [hierarchy.is_v2 for hierarchy in hierarchies(MOUNTS)] == [False, False, True]


def test_the_way_back_to_the_own_cgroups() -> None:
    text = "12:cpu,cpuacct:/user.slice\n1:name=systemd:/a:b\n0::/init.scope\n"
    assert own_paths(text) == {"cpu,cpuacct": "/user.slice", "name=systemd": "/a:b", "": "/init.scope"}


def test_a_network_that_is_free() -> None:
    assert str(free_network(["192.168.0.0/16"])) == "10.199.0.0/30"
    assert str(free_network(["10.199.0.0/30", "10.199.0.5"])) == "10.199.0.8/30"
    with pytest.raises(LabError, match="no free network"):
        free_network(["10.0.0.0/8"])


def test_no_network_of_the_cluster_is_in_another() -> None:
    networks = [PODS, SERVICES, ipaddress.ip_network("10.199.0.0/16")]
    assert not any(one.overlaps(other) for one in networks for other in networks if one is not other)


def test_names_differ_from_checkout_to_checkout_and_fit_an_interface() -> None:
    names = {Place(name, Path(state)).kernel_name for name in ("a", "b") for state in ("/one", "/two")}
    assert len(names) == 4
    assert all(len(name) <= 15 for name in names)


def test_every_component_has_a_user_and_the_admin_no_current_context() -> None:
    users = {argument.partition("/mnt/access/")[2] for command in commands("10.0.0.1").values() for argument in command}
    users |= {json.loads(files()["proxy.json"])["clientConnection"]["kubeconfig"].rpartition("/")[2]}
    assert {user.removesuffix(".kubeconfig") for user in users if user.endswith(".kubeconfig")} == set(USERS) - {ADMIN}
    assert kubeconfig("https://a", b"", "t")["current-context"] == ""


def test_the_token_file_quotes_groups() -> None:
    assert token_file({"admin": "secret", "scheduler": "other"}) == (
        'secret,admin,admin,"system:masters"\nother,system:kube-scheduler,scheduler\n'
    )


def test_configuration_files_parse() -> None:
    for name, text in files().items():
        if name.endswith((".json", ".conflist")):
            assert json.loads(text)
    assert tomllib.loads(files()["containerd.toml"])["version"] == 2


def test_a_build_is_of_these_sources_and_this_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, other = program.folder("go1.25.4"), program.folder("go1.26.0")
    assert one != other
    assert one.parent == tmp_path / "pifleet" / "kubernetes"
    assert one.name.startswith(program.version((program.MODULE / "go.mod").read_text()))


def test_the_components_are_told_their_release() -> None:
    linked = program.flags("v1.35.4")[-1]
    assert "version.gitVersion=v1.35.4 " in linked
    assert linked.endswith("version.gitMinor=35")


@pytest.mark.parametrize(("found", "words"), [("", "there is no `go` on PATH"), ("go1.19.8", "on PATH is go1.19.8")])
def test_without_a_new_go_one_sentence(found: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if found:
        go = tmp_path / "go"
        go.write_text(f"#!/bin/sh\necho {found}\n")
        go.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=f"Go 1.25.* or newer is needed to build Kubernetes, and .*{words}"):
        program.go_version()


def test_a_docker_archive(tmp_path: Path) -> None:
    executable = tmp_path / "pause"
    executable.write_bytes(b"program")
    image = of_layer(program_layer(executable), {"Entrypoint": ["/pause"]})
    with tarfile.open(fileobj=io.BytesIO(docker_archive(image, "localhost/pause:1"))) as archive:
        contents = {member.name: (archive.extractfile(member) or io.BytesIO()).read() for member in archive}
    index = json.loads(contents["manifest.json"])[0]
    assert index["RepoTags"] == ["localhost/pause:1"]
    assert json.loads(contents[index["Config"]])["config"] == {"Entrypoint": ["/pause"]}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(contents[index["Layers"][0]]))) as layer:
        member = layer.getmember("pause")
    assert (member.size, member.mode) == (7, 0o755)


def test_without_a_build_one_loud_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("cluster.made.choose", Own)
    monkeypatch.setattr("cluster.own.require_means", lambda: None)
    with pytest.raises(LabError, match=r"^NOT TESTED IN A REAL CLUSTER: .* `make kubernetes` builds one"):
        require_at_hand()
    monkeypatch.setattr("cluster.made.choose", lambda: Tool("kind"))
    require_at_hand()
