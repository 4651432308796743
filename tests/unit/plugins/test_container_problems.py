# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter container_problems: what is said of options of GitLab Runner's container before anything is stopped."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pifleet.ci.plugins.filter.container_problems import container_problems
from ansible_collections.pifleet.ci.plugins.filter.service_options import service_options

RIGHT: dict[str, Any] = {
    "env": {"HTTPS_PROXY": "http://me:secret@proxy:3128", "EMPTY": ""},
    "dns_servers": ["192.0.2.1", "2001:db8::1"],
    "etc_hosts": {"gitlab.example.com": "192.0.2.1", "registry": "2001:db8::1"},
    "mounts": [
        {"source": "/srv/ca", "target": "/ca", "read_only": True, "type": None},
        {"source": "data", "target": "/data/", "type": "volume"},
    ],
    "published_ports": ["9252:9252", "9252:9252/udp", "9253:9252"],
    "memory": "256M",
    "cpus": 0.5,
    "log_driver": "local",
    "log_options": {"max-file": "2"},
}
OF_A_CONTAINER = {
    "etc_hosts": {"pi": "host-gateway"},
    "published_ports": ["127.0.0.1:9252:9252", "[::1]:9252:9252"],
    "network_mode": "bridge",
}


@pytest.mark.parametrize(
    ("options", "deployment"),
    [
        ({}, "container"), (RIGHT, "container"), (RIGHT, "service"), (OF_A_CONTAINER, "container"),
        ({"memory": 268435456, "cpus": "0.5"}, "container"), ({"memory": "0", "cpus": 0}, "service"),
        (dict.fromkeys([*RIGHT, "network_mode"]), "container"),
        ({"network_mode": "container:vpn", "dns_servers": []}, "container"),
    ],
)  # fmt: skip
def test_what_is_right(options: dict[str, Any], deployment: str) -> None:
    assert container_problems(options, "pi-01", deployment) == []
    if deployment == "service":
        service_options(options)


ADDRESSES = "but each must be an IP address"
PORTS = "but each must be ADDRESS:PORT:PORT or PORT:PORT, such as 127.0.0.1:9252:9252"
SOURCE = "but each must be an absolute path on the Pi, or with type: volume the name of a volume"
MEMORY = "but it must be a number of bytes of at least 6M, such as 256M"
CPUS = "but it must be a number of processors of at least 0.01, such as 0.5"
WRONG: list[tuple[Any, str]] = [
    ("memory=256M", " must be a mapping of options"),
    ({"env": "HTTPS_PROXY=secret"}, ".env must be a mapping"),
    ({"etc_hosts": ["gitlab:192.0.2.1"]}, ".etc_hosts must be a mapping"),
    ({"log_options": "max-file=2", "log_driver": "local"}, ".log_options must be a mapping"),
    ({"dns_servers": "192.0.2.1"}, ".dns_servers must be a list also where it has one element"),
    ({"published_ports": "9252:9252"}, ".published_ports must be a list also where it has one element"),
    ({"mounts": {"source": "/a", "target": "/b"}}, ".mounts must be a list also where it has one element"),
    ({"mounts": ["/a:/b"]}, ".mounts needs for each mount a source and a target, which are strings"),
    ({"mounts": [{"source": "/a"}]}, ".mounts needs for each mount a source and a target, which are strings"),
    ({"env": {"TRACE": True, "PORT": 1}}, ".env takes strings only, so write the value with quotes: PORT, TRACE"),
    (
        {"log_driver": "local", "log_options": {"max-file": 2}},
        ".log_options takes strings only, so write the value with quotes: max-file",
    ),
    ({"dns_servers": ["192.0.2.1", "dns.example.com"]}, f".dns_servers has dns.example.com, {ADDRESSES}"),
    ({"dns_servers": [1]}, f".dns_servers has 1, {ADDRESSES}"),
    (
        {"etc_hosts": {"gitlab": "gitlab.example.com", "a b": "192.0.2.1"}},
        ".etc_hosts has gitlab: gitlab.example.com, a b: 192.0.2.1, but each must be a host name with an IP address",
    ),
    (
        {"mounts": [{"source": "/srv", "target": "/etc/gitlab-runner/"}]},
        ".mounts has /etc/gitlab-runner, which the role itself mounts",
    ),
    (
        {"mounts": [{"source": "/a", "target": "/c"}, {"source": "/b", "target": "/c/"}]},
        ".mounts has more than one mount for /c: leave one of them",
    ),
    ({"mounts": [{"source": "/a", "target": "ca"}]}, ".mounts has the target ca, but each must be an absolute path"),
    ({"mounts": [{"source": "ca", "target": "/ca"}]}, f".mounts has the source ca, {SOURCE}"),
    ({"mounts": [{"source": "/ca", "target": "/ca", "type": "volume"}]}, f".mounts has the source /ca, {SOURCE}"),
    ({"published_ports": ["9252"]}, f".published_ports has 9252, {PORTS}"),
    ({"published_ports": ["9252:99999"]}, f".published_ports has 9252:99999, {PORTS}"),
    ({"published_ports": ["0:9252"]}, f".published_ports has 0:9252, {PORTS}"),
    ({"published_ports": ["1.2.3:9252:9252"]}, f".published_ports has 1.2.3:9252:9252, {PORTS}"),
    ({"published_ports": ["9252:1", "9252:2"]}, ".published_ports publishes 9252 more than once: leave one of them"),
    ({"memory": "256Q"}, f".memory is 256Q, {MEMORY}"),
    ({"memory": "4M"}, f".memory is 4M, {MEMORY}"),
    ({"memory": -1}, f".memory is -1, {MEMORY}"),
    ({"cpus": "half"}, f".cpus is half, {CPUS}"),
    ({"cpus": 0.001}, f".cpus is 0.001, {CPUS}"),
    ({"cpus": "nan"}, f".cpus is nan, {CPUS}"),
    ({"cpus": True}, f".cpus is True, {CPUS}"),
    ({"log_options": {"max-file": "2"}}, " has log_options, which are those of a log_driver: add log_driver"),
    ({"log_driver": "lo cal"}, ".log_driver must be the name of a logging driver"),
    ({"network_mode": ["host"]}, ".network_mode must be the name of a network, such as host"),
    (
        {"network_mode": "container:vpn", "published_ports": ["9252:9252"], "dns_servers": ["192.0.2.1"]},
        " has dns_servers, published_ports, which with network_mode: container:vpn the other",
    ),
]


@pytest.mark.parametrize(("options", "sentence"), WRONG, ids=[str(options) for options, _sentence in WRONG])
def test_one_sentence(options: Any, sentence: str) -> None:
    [found] = container_problems(options, "pi-01", "container")
    assert found.startswith(f"pi-01: gitlab_runner_container_options{sentence}")
    assert found.endswith(".")
    assert "secret" not in found


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"network_mode": "host"}, ".network_mode is for containers"),
        (
            {"published_ports": ["127.0.0.1:9252:9252"]},
            ".published_ports has 127.0.0.1:9252:9252, but each must be PORT",
        ),
        (
            {"etc_hosts": {"pi": "host-gateway"}},
            ".etc_hosts has pi: host-gateway, but each must be a host name with an IP",
        ),
    ],
)
def test_what_a_service_does_not_have(options: dict[str, Any], sentence: str) -> None:
    [found] = container_problems(options, "pi-01", "service")
    assert found.startswith(f"pi-01: gitlab_runner_container_options{sentence}")


def test_all_at_once() -> None:
    wrong = {"memory": "1M", "cpus": -1, "env": {"A": 1}, "log_driver": ""}
    assert len(container_problems(wrong, "pi-01", "container")) == len(wrong)
